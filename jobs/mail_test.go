package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/jobs"
	"github.com/kyujobs/kyu/test/kit/smtptest"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

// mailer makes a Mail from variables, as the worker does; port is the mail server's.
func mailer(t *testing.T, port int, vars map[string]string) *jobs.Mail {
	t.Helper()
	all := map[string]string{"SMTP_SERVER": "127.0.0.1", "SMTP_PORT": fmt.Sprint(port),
		"SMTP_FROM_ADDRESS": "Home <notifications@home.example>"}
	for key, value := range vars {
		all[key] = value
	}
	r := &env.Reader{Lookup: func(k string) (string, bool) { v, ok := all[k]; return v, ok }}
	m := &jobs.Mail{Config: jobs.MailFromEnv(r, "", "home.example"),
		Bulk: jobs.MailFromEnv(r, "BULK_", "home.example"), Log: slog.New(slog.DiscardHandler)}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	return m
}

func message(to ...string) jobs.Message {
	return jobs.Message{To: to, Subject: "Grüße", Text: "Hello\n.\n..dots\nFrom here",
		HTML: "<p>Hello</p>", Headers: map[string]string{"List-Id": "<x.home.example>"}}
}

const mailJob = `{"class":"MailDeliveryWorker","jid":"5d1a8a5dcb3a4bb1b2a0aa11",` +
	`"created_at":1790000000.5,"args":[]}`

func TestMail(t *testing.T) {
	server := smtptest.Start(t)
	m := mailer(t, server.Port, map[string]string{"SMTP_RETURN_PATH": "bounce@home.example",
		"SMTP_REPLY_TO": "help@home.example"})
	a := message("Åsa <asa@b.example>")
	a.CC, a.BCC = []string{"c@b.example"}, []string{"secret@b.example"}
	for range 2 {
		if err := m.Send(run(t, mailJob), a); err != nil {
			t.Fatal(err)
		}
	}
	mails := server.Await(t, 2)
	if len(mails) != 2 {
		t.Fatalf("%d mails", len(mails))
	}
	data := mails[0].Data
	t.Run("goes to all its recipients", func(t *testing.T) {
		to := strings.Join(mails[0].To, " ")
		if mails[0].From != "bounce@home.example" ||
			to != "asa@b.example c@b.example secret@b.example" {
			t.Errorf("from %s to %s", mails[0].From, to)
		}
		if strings.Contains(data, "secret@b.example") {
			t.Error("a header shows the blind copy")
		}
	})
	t.Run("has its headers and both bodies", func(t *testing.T) {
		for _, want := range []string{"Message-ID: <5d1a8a5dcb3a4bb1b2a0aa11@home.example>",
			"Date: ", "Subject: =?UTF-8?q?Gr=C3=BC=C3=9Fe?=", "Reply-To: <help@home.example>",
			"Auto-Submitted: auto-generated", "Precedence: list",
			"X-Auto-Response-Suppress: All", "List-Id: <x.home.example>",
			"multipart/alternative", "\n..dots"} {
			if !strings.Contains(data, want) {
				t.Errorf("no %q in\n%s", want, data)
			}
		}
	})
	t.Run("has the same Message-ID and Date in a second run", func(t *testing.T) {
		if mails[1].Data[:200] != data[:200] {
			t.Errorf("%s\nthen\n%s", data[:200], mails[1].Data[:200])
		}
	})
}

func TestMailOutcome(t *testing.T) {
	server, busy := smtptest.Start(t), smtptest.Start(t, "--busy")
	for _, c := range []struct {
		name, to, outcome string
		port              int
	}{{"taken", "ok@b.example", "done", server.Port},
		{"451 for the recipient", "451@b.example", "retry", server.Port},
		{"452 for the recipient", "452@b.example", "retry", server.Port},
		{"550 for the recipient", "550@b.example", "dead", server.Port},
		{"550 for the data", "data550@b.example", "dead", server.Port},
		{"421 for the connection", "ok@b.example", "retry", busy.Port},
		{"no server at the address", "ok@b.example", "retry", 1}} {
		t.Run(c.name+": "+c.outcome, func(t *testing.T) {
			err := mailer(t, c.port, nil).Send(run(t, mailJob), message(c.to))
			if outcome(err) != c.outcome {
				t.Error(err)
			}
			if err != nil && !strings.Contains(err.Error(), fmt.Sprint("127.0.0.1:", c.port)) {
				t.Errorf("the error does not name the server: %v", err)
			}
		})
	}
	for _, to := range [][]string{{"550@b.example", "451@b.example"},
		{"451@b.example", "550@b.example"}, {"ok@b.example", "451@b.example", "550@b.example"}} {
		t.Run(fmt.Sprint(to)+": retry, whatever their order", func(t *testing.T) {
			err := mailer(t, server.Port, nil).Send(run(t, mailJob), message(to...))
			if outcome(err) != "retry" || !strings.Contains(err.Error(), "550@b.example") {
				t.Error(err)
			}
		})
	}
	t.Run("550 for one of two recipients: dead", func(t *testing.T) {
		err := mailer(t, server.Port, nil).Send(run(t, mailJob),
			message("550@b.example", "ok@b.example"))
		if outcome(err) != "dead" {
			t.Error(err)
		}
	})
	t.Run("wrong settings: retry, and the error names them", func(t *testing.T) {
		m := &jobs.Mail{Err: errors.New("SMTP_PORT=x")}
		if err := m.Send(run(t, mailJob), message("ok@b.example")); outcome(err) != "retry" ||
			!strings.Contains(err.Error(), "SMTP_PORT") {
			t.Error(err)
		}
	})
	t.Run("no server configured: retry", func(t *testing.T) {
		err := (&jobs.Mail{}).Send(run(t, mailJob), message("ok@b.example"))
		if outcome(err) != "retry" || !strings.Contains(err.Error(), "SMTP_SERVER") {
			t.Error(err)
		}
	})
}

func TestSlowMailServer(t *testing.T) {
	server := smtptest.Start(t)
	hasTime := mailer(t, server.Port, nil)
	t.Run("gets the same mail again after its answer came too late", func(t *testing.T) {
		hasty := mailer(t, server.Port, map[string]string{"SMTP_READ_TIMEOUT": "1"})
		if err := hasty.Send(run(t, mailJob), message("slow@b.example")); outcome(err) != "retry" {
			t.Fatal(err)
		}
		if err := hasTime.Send(run(t, mailJob), message("slow@b.example")); err != nil {
			t.Fatal(err)
		}
		id := func(m smtptest.Mail) string {
			_, rest, _ := strings.Cut(m.Data, "Message-ID: ")
			id, _, _ := strings.Cut(rest, "\r\n")
			return id
		}
		mails := server.Await(t, 2)
		if len(mails) != 2 {
			t.Fatalf("%d mails", len(mails))
		}
		if id(mails[0]) != id(mails[1]) || id(mails[0]) == "" {
			t.Errorf("%q, then %q", id(mails[0]), id(mails[1]))
		}
	})
	t.Run("is not waited for when the job's time is over", func(t *testing.T) {
		ctx, cancel := context.WithCancel(run(t, mailJob))
		ended := make(chan error)
		go func() { ended <- hasTime.Send(ctx, message("slow@b.example")) }()
		testwait.Until(t, 10*time.Second, "the server has the third mail",
			func() bool { return len(server.Mails()) == 3 })
		cancel()
		if err := <-ended; err == nil {
			t.Error("a mail without the server's answer counts as sent")
		}
	})
}

func TestMailEncryption(t *testing.T) {
	cert := smtptest.Certificate(t)
	plain, starttls, required, wrapped := smtptest.Start(t), smtptest.Start(t, "--starttls", cert),
		smtptest.Start(t, "--starttls", cert, "--require-tls"), smtptest.Start(t, "--tls", cert)
	for _, c := range []struct {
		name   string
		server *smtptest.Server
		vars   map[string]string
		sent   bool
		tls    bool
	}{
		{"auto, and the server has no STARTTLS", plain, nil, true, false},
		{"auto, and the server has STARTTLS", starttls, map[string]string{"SMTP_CA_FILE": cert},
			true, true},
		{"always, and the server has no STARTTLS", plain,
			map[string]string{"SMTP_ENABLE_STARTTLS": "always"}, false, false},
		{"always, and the server has STARTTLS", required,
			map[string]string{"SMTP_ENABLE_STARTTLS": "always", "SMTP_CA_FILE": cert}, true, true},
		{"never, and the server has STARTTLS", starttls,
			map[string]string{"SMTP_ENABLE_STARTTLS": "never"}, true, false},
		{"never, and the server requires STARTTLS", required,
			map[string]string{"SMTP_ENABLE_STARTTLS_AUTO": "false"}, false, false},
		{"an unknown certificate", starttls, map[string]string{"SMTP_ENABLE_STARTTLS": "always"},
			false, false},
		{"an unknown certificate that is not checked", starttls,
			map[string]string{"SMTP_OPENSSL_VERIFY_MODE": "none"}, true, true},
		{"tls", wrapped, map[string]string{"SMTP_TLS": "true", "SMTP_CA_FILE": cert}, true, true},
		{"ssl", wrapped, map[string]string{"SMTP_SSL": "true", "SMTP_OPENSSL_VERIFY_MODE": "none"},
			true, true},
		{"tls with an unknown certificate", wrapped, map[string]string{"SMTP_TLS": "true"},
			false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := len(c.server.Mails())
			err := mailer(t, c.server.Port, c.vars).Send(run(t, mailJob), message("ok@b.example"))
			if c.sent && err == nil {
				c.server.Await(t, before+1)
			}
			mails := c.server.Mails()
			if sent := len(mails) > before; sent != c.sent || (err == nil) != c.sent {
				t.Fatalf("%v, %d mails", err, len(mails)-before)
			}
			if c.sent && mails[len(mails)-1].TLS != c.tls {
				t.Errorf("encrypted: %v", !c.tls)
			}
		})
	}
}

func TestMailLogin(t *testing.T) {
	cert := smtptest.Certificate(t)
	secure, open := smtptest.Start(t, "--starttls", cert, "--auth"), smtptest.Start(t, "--auth")
	send := func(t *testing.T, port int, method, password string, more ...string) error {
		vars := map[string]string{"SMTP_LOGIN": smtptest.User, "SMTP_PASSWORD": password,
			"SMTP_AUTH_METHOD": method, more[0]: more[1]}
		return mailer(t, port, vars).Send(run(t, mailJob), message("ok@b.example"))
	}
	for _, method := range []string{"plain", "login", "cram_md5"} {
		t.Run(method, func(t *testing.T) {
			if err := send(t, secure.Port, method, smtptest.Password, "SMTP_CA_FILE",
				cert); err != nil {
				t.Error(err)
			}
		})
		t.Run(method+" with a wrong password", func(t *testing.T) {
			err := send(t, secure.Port, method, "wrong", "SMTP_CA_FILE", cert)
			if outcome(err) != "retry" || strings.Contains(err.Error(), "wrong") {
				t.Error(err)
			}
		})
	}
	for _, method := range []string{"plain", "login"} {
		t.Run(method+" unencrypted, if encryption is turned off", func(t *testing.T) {
			if err := send(t, open.Port, method, smtptest.Password, "SMTP_ENABLE_STARTTLS",
				"never"); err != nil {
				t.Error(err)
			}
		})
	}
}

// injections are mails with a line end, a control character or a bad name in each field.
func injections() (bad []jobs.Message) {
	for _, tail := range []string{"\r\nBcc: evil@x.example", "\nBcc: evil@x.example",
		"\rBcc: evil@x.example", "\r\n\r\nbody", "\x00", "\x0b", "\x0c", "\x1b[31m", "\x7f",
		"\u0085Bcc: evil@x.example", "\u2028Bcc: evil@x.example"} {
		for _, change := range []func(*jobs.Message){
			func(a *jobs.Message) { a.Subject += tail },
			func(a *jobs.Message) { a.From = "a@b.example" + tail },
			func(a *jobs.Message) { a.ReplyTo = "a@b.example" + tail },
			func(a *jobs.Message) { a.To = []string{"a@b.example" + tail} },
			func(a *jobs.Message) { a.BCC = []string{"a@b.example" + tail} },
			func(a *jobs.Message) { a.Headers = map[string]string{"X-A": "b" + tail} },
			func(a *jobs.Message) { a.Headers = map[string]string{"X-A" + tail: "b"} },
		} {
			a := message("ok@b.example")
			change(&a)
			bad = append(bad, a)
		}
	}
	for _, name := range []string{"Bcc", "bcc", "To", "From", "Message-ID", "Content-Type", "X A",
		"X:A", ""} {
		a := message("ok@b.example")
		a.Headers = map[string]string{name: "evil@x.example"}
		bad = append(bad, a)
	}
	for _, to := range [][]string{nil, {""}, {"nonsense"}, {"a@b.example>, <evil@x.example"},
		{"a@b.example, evil@x.example"}} {
		bad = append(bad, message(to...))
	}
	return bad
}

func TestMailInjection(t *testing.T) {
	server := smtptest.Start(t)
	m := mailer(t, server.Port, nil)
	t.Run("sends the job to the dead set, and no mail", func(t *testing.T) {
		bad := injections()
		for _, a := range bad {
			if err := m.Send(run(t, mailJob), a); outcome(err) != "dead" {
				t.Errorf("%+v: %v", a, err)
			}
		}
		if n := len(server.Mails()); len(bad) < 50 || n != 0 {
			t.Errorf("%d tries, %d mails", len(bad), n)
		}
	})
	t.Run("by a jid is replaced in the Message-ID", func(t *testing.T) {
		if err := m.Send(run(t, `{"class":"M","jid":"a>\u000d\u000aBcc: evil@x.example<b",`+
			`"args":[]}`), message("ok@b.example")); err != nil {
			t.Fatal(err)
		}
		if got := server.Await(t, 1)[0]; len(got.To) != 1 || strings.Contains(got.Data, "Bcc: ") {
			t.Error(got.Data)
		}
	})
}

func TestBulkMail(t *testing.T) {
	normal, bulk := smtptest.Start(t), smtptest.Start(t)
	t.Run("goes to its own server", func(t *testing.T) {
		m := mailer(t, normal.Port, map[string]string{"BULK_SMTP_SERVER": "127.0.0.1",
			"BULK_SMTP_PORT":         fmt.Sprint(bulk.Port),
			"BULK_SMTP_FROM_ADDRESS": "news@home.example"})
		a := message("ok@b.example")
		a.Bulk = true
		if err := m.Send(run(t, mailJob), a); err != nil {
			t.Error(err)
		}
		if n, other := len(bulk.Await(t, 1)), len(normal.Mails()); n != 1 || other != 0 {
			t.Errorf("%d mails, %d at the other server", n, other)
		}
	})
}
