package jobs_test

import (
	"context"
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

// mailer reads a mailer's configuration as the worker does.
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

func TestAMailArrivesWithTheJobsIdentity(t *testing.T) {
	server := smtptest.Start(t)
	m := mailer(t, server.Port, map[string]string{"SMTP_RETURN_PATH": "bounce@home.example",
		"SMTP_REPLY_TO": "help@home.example"})
	a := message("Åsa <asa@b.example>")
	a.CC, a.BCC = []string{"c@b.example"}, []string{"secret@b.example"}
	for range 2 { // a second run is the same mail
		if err := m.Send(run(t, mailJob), a); err != nil {
			t.Fatal(err)
		}
	}
	mails := server.Mails()
	if len(mails) != 2 || mails[0].From != "bounce@home.example" ||
		strings.Join(mails[0].To, " ") != "asa@b.example c@b.example secret@b.example" {
		t.Fatalf("%+v", mails)
	}
	data := mails[0].Data
	for _, want := range []string{"Message-ID: <5d1a8a5dcb3a4bb1b2a0aa11@home.example>", "Date: ",
		"Subject: =?UTF-8?q?Gr=C3=BC=C3=9Fe?=", "Reply-To: <help@home.example>",
		"Auto-Submitted: auto-generated", "Precedence: list", "X-Auto-Response-Suppress: All",
		"List-Id: <x.home.example>", "multipart/alternative", "\n..dots"} {
		if !strings.Contains(data, want) {
			t.Errorf("no %q in\n%s", want, data)
		}
	}
	if strings.Contains(data, "secret@b.example") || mails[1].Data[:200] != data[:200] {
		t.Errorf("%s", mails[1].Data)
	}
}

func TestAMailServersAnswerDecides(t *testing.T) {
	server := smtptest.Start(t)
	m := mailer(t, server.Port, nil)
	for to, want := range map[string]string{"ok@b.example": "done", "451@b.example": "retry",
		"452@b.example": "retry", "550@b.example": "dead", "data550@b.example": "dead"} {
		if err := m.Send(run(t, mailJob), message(to)); outcome(err) != want {
			t.Errorf("%s: %v", to, err)
		}
	}
	busy := smtptest.Start(t, "--busy")
	if err := mailer(t, busy.Port, nil).Send(run(t, mailJob),
		message("ok@b.example")); outcome(err) != "retry" {
		t.Errorf("421 at connect: %v", err)
	}
	if err := mailer(t, 1, nil).Send(run(t, mailJob),
		message("ok@b.example")); outcome(err) != "retry" ||
		!strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("nobody listens: %v", err)
	}
	if err := (&jobs.Mail{}).Send(run(t, mailJob),
		message("ok@b.example")); outcome(err) != "retry" ||
		!strings.Contains(err.Error(), "SMTP_SERVER") {
		t.Errorf("no server: %v", err)
	}
}

func TestAServerThatAnswersTooLateSeesOneMailTwice(t *testing.T) {
	server := smtptest.Start(t)
	m := mailer(t, server.Port, map[string]string{"SMTP_READ_TIMEOUT": "1"})
	if err := m.Send(run(t, mailJob), message("slow@b.example")); outcome(err) != "retry" {
		t.Fatalf("the late answer: %v", err)
	}
	m = mailer(t, server.Port, nil) // has time
	if err := m.Send(run(t, mailJob), message("slow@b.example")); err != nil {
		t.Fatal(err)
	}
	mails := server.Mails()
	id := func(i int) string {
		_, rest, _ := strings.Cut(mails[i].Data, "Message-ID: ")
		id, _, _ := strings.Cut(rest, "\r\n")
		return id
	}
	if len(mails) != 2 || id(0) != id(1) || id(0) == "" {
		t.Errorf("%d mails, %+v", len(mails), mails)
	}
	// A job whose time is over does not wait for the server.
	ctx, cancel := context.WithCancel(run(t, mailJob))
	ended := make(chan error)
	go func() { ended <- m.Send(ctx, message("slow@b.example")) }()
	testwait.Until(t, 10*time.Second, "the server has the third",
		func() bool { return len(server.Mails()) == 3 })
	cancel()
	if err := <-ended; err == nil {
		t.Error("a mail whose answer was not heard is done")
	}
}

func TestEncryptionIsAsConfigured(t *testing.T) {
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
		{"auto without", plain, nil, true, false},
		{"auto with", starttls, map[string]string{"SMTP_CA_FILE": cert}, true, true},
		{"always without", plain, map[string]string{"SMTP_ENABLE_STARTTLS": "always"},
			false, false},
		{"always with", required,
			map[string]string{"SMTP_ENABLE_STARTTLS": "always", "SMTP_CA_FILE": cert}, true, true},
		{"never with", starttls, map[string]string{"SMTP_ENABLE_STARTTLS": "never"}, true, false},
		{"never, but required", required, map[string]string{"SMTP_ENABLE_STARTTLS_AUTO": "false"},
			false, false},
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
		before := len(c.server.Mails())
		err := mailer(t, c.server.Port, c.vars).Send(run(t, mailJob), message("ok@b.example"))
		mails := c.server.Mails()
		if (err == nil) != c.sent || (len(mails) > before) != c.sent ||
			(c.sent && mails[len(mails)-1].TLS != c.tls) {
			t.Errorf("%s: %v, %d mails", c.name, err, len(mails)-before)
		}
	}
}

func TestEachWayToLogInWorks(t *testing.T) {
	cert := smtptest.Certificate(t)
	secure, open := smtptest.Start(t, "--starttls", cert, "--auth"), smtptest.Start(t, "--auth")
	for _, method := range []string{"plain", "login", "cram_md5"} {
		vars := map[string]string{"SMTP_LOGIN": smtptest.User, "SMTP_PASSWORD": smtptest.Password,
			"SMTP_AUTH_METHOD": method, "SMTP_CA_FILE": cert}
		if err := mailer(t, secure.Port, vars).Send(run(t, mailJob),
			message("ok@b.example")); err != nil {
			t.Errorf("%s: %v", method, err)
		}
		vars["SMTP_PASSWORD"] = "wrong"
		if err := mailer(t, secure.Port, vars).Send(run(t, mailJob),
			message("ok@b.example")); outcome(err) != "retry" ||
			strings.Contains(err.Error(), "wrong") {
			t.Errorf("%s with a wrong password: %v", method, err)
		}
	}
	// In the clear a password goes only if encryption was turned off on purpose.
	vars := map[string]string{"SMTP_LOGIN": smtptest.User, "SMTP_PASSWORD": smtptest.Password,
		"SMTP_ENABLE_STARTTLS": "never"}
	for _, method := range []string{"plain", "login"} {
		vars["SMTP_AUTH_METHOD"] = method
		if err := mailer(t, open.Port, vars).Send(run(t, mailJob),
			message("ok@b.example")); err != nil {
			t.Errorf("%s in the clear: %v", method, err)
		}
	}
}

func TestNothingCanBeInjectedIntoAMail(t *testing.T) {
	server := smtptest.Start(t)
	m := mailer(t, server.Port, nil)
	tails := []string{"\r\nBcc: evil@x.example", "\nBcc: evil@x.example", "\rBcc: evil@x.example",
		"\r\n\r\nbody", "\x00", "\x0b", "\x0c", "\x1b[31m", "\x7f", "\u0085Bcc: evil@x.example",
		"\u2028Bcc: evil@x.example"}
	n := 0
	for _, tail := range tails {
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
			n++
			if err := m.Send(run(t, mailJob), a); outcome(err) != "dead" {
				t.Errorf("%q: %v", tail, err)
			}
		}
	}
	for _, name := range []string{"Bcc", "bcc", "To", "From", "Message-ID", "Content-Type", "X A",
		"X:A", ""} {
		a := message("ok@b.example")
		a.Headers = map[string]string{name: "evil@x.example"}
		n++
		if err := m.Send(run(t, mailJob), a); outcome(err) != "dead" {
			t.Errorf("header %q: %v", name, err)
		}
	}
	for _, to := range [][]string{nil, {""}, {"nonsense"}, {"a@b.example>, <evil@x.example"},
		{"a@b.example, evil@x.example"}} {
		n++
		if err := m.Send(run(t, mailJob), message(to...)); outcome(err) != "dead" {
			t.Errorf("to %q: %v", to, err)
		}
	}
	if n < 50 || len(server.Mails()) != 0 {
		t.Errorf("%d tries, %d mails", n, len(server.Mails()))
	}
	// A jid from somewhere else cannot break the Message-ID.
	if err := m.Send(run(t, `{"class":"M","jid":"a>\u000d\u000aBcc: evil@x.example<b","args":[]}`),
		message("ok@b.example")); err != nil {
		t.Fatal(err)
	}
	if got := server.Mails()[0]; len(got.To) != 1 || strings.Contains(got.Data, "Bcc: ") {
		t.Error(got.Data)
	}
}

func TestMassMailHasAServerOfItsOwn(t *testing.T) {
	normal, bulk := smtptest.Start(t), smtptest.Start(t)
	m := mailer(t, normal.Port, map[string]string{"BULK_SMTP_SERVER": "127.0.0.1",
		"BULK_SMTP_PORT": fmt.Sprint(bulk.Port), "BULK_SMTP_FROM_ADDRESS": "news@home.example"})
	a := message("ok@b.example")
	a.Bulk = true
	if err := m.Send(run(t, mailJob), a); err != nil || len(bulk.Mails()) != 1 ||
		len(normal.Mails()) != 0 {
		t.Error(err)
	}
}

func TestWrongMailSettingsAreAllNamed(t *testing.T) {
	vars := map[string]string{"SMTP_SERVER": "mail.example", "SMTP_PORT": "x",
		"SMTP_AUTH_METHOD": "ntlm", "SMTP_ENABLE_STARTTLS": "maybe", "SMTP_CA_FILE": "/nowhere",
		"SMTP_OPENSSL_VERIFY_MODE": "some", "SMTP_DELIVERY_METHOD": "sendmail",
		"SMTP_PASSWORD": "hush"}
	r := &env.Reader{Lookup: func(k string) (string, bool) { v, ok := vars[k]; return v, ok }}
	c := jobs.MailFromEnv(r, "", "home.example")
	for _, want := range []string{"SMTP_PORT", "SMTP_AUTH_METHOD", "SMTP_ENABLE_STARTTLS",
		"SMTP_CA_FILE", "SMTP_OPENSSL_VERIFY_MODE", "SMTP_DELIVERY_METHOD"} {
		if err := r.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %s in %v", want, err)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v %v", c, c, c, r.Settings); strings.Contains(text, "hush") {
		t.Error("the password is shown: " + text)
	}
}
