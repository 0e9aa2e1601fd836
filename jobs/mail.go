package jobs

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// Mail sends mail by SMTP.
type Mail struct {
	Config MailConfig
	Bulk   MailConfig // the server for mass mail; Config if it has no Server
	Err    error      // of the configuration: every mail fails with it
	Log    *slog.Logger
}

// MailDelivery holds the argument of MailDeliveryWorker.
type MailDelivery struct {
	Message Message
}

// Message is one mail. It needs at least one recipient in To, CC or BCC.
type Message struct {
	From    string            `json:"from"`     // SMTP_FROM_ADDRESS if empty
	ReplyTo string            `json:"reply_to"` // SMTP_REPLY_TO if empty
	To      []string          `json:"to"`
	CC      []string          `json:"cc"`
	BCC     []string          `json:"bcc"`
	Subject string            `json:"subject"`
	Text    string            `json:"text"`
	HTML    string            `json:"html"`
	Headers map[string]string `json:"headers"` // further headers; not those made from other fields
	Bulk    bool              `json:"bulk"`    // mass mail: sent by the server Mail.Bulk
}

// Deliver sends the mail of a job; see Send.
func (m *Mail) Deliver(ctx context.Context, a MailDelivery) error { return m.Send(ctx, a.Message) }

// Send sends a mail. The Message-ID and the Date are made from the job in ctx, so all
// attempts of a job have the same ones: if a server took the mail and answered too late,
// the second copy can be recognized. A mail that the server refuses with 5xx, and one that
// is malformed, sends the job to the dead set. Other errors are tried again.
func (m *Mail) Send(ctx context.Context, a Message) error {
	config := m.Config
	if a.Bulk && m.Bulk.Server != "" {
		config = m.Bulk
	}
	if m.Err != nil {
		return m.Err
	}
	if config.Server == "" {
		return errors.New("no mail server is configured: set SMTP_SERVER")
	}
	if err := a.check(); err != nil {
		return queue.Kill(err)
	}
	message, err := a.compose(config, queue.JobFrom(ctx))
	if err != nil {
		return queue.Kill(err)
	}
	client, err := config.client(ctx)
	if err != nil {
		return err
	}
	return m.send(ctx, client, config, message)
}

func (m *Mail) send(ctx context.Context, client *gomail.Client, config MailConfig,
	message *gomail.Msg) error {
	connection, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return fmt.Errorf("mail server %s: %w", config.address(), err)
	}
	taken, err := transfer(connection, message)
	// The server has taken or refused the mail: an error while closing changes nothing.
	if e := client.CloseWithSMTPClient(connection); e != nil {
		m.Log.Debug("could not close the connection to the mail server cleanly",
			"server", config.address(), "err", e)
	}
	if taken {
		return nil
	}
	failure := fmt.Errorf("mail server %s: %w", config.address(), err)
	if permanent(err) {
		return queue.Kill(failure)
	}
	return failure
}

// transfer hands a mail to the server, and reports whether the server has taken it. All recipients
// get it, or none: the error joins those of all recipients that the server refuses.
func transfer(c *smtp.Client, message *gomail.Msg) (taken bool, err error) {
	from, err := message.GetSender(false)
	if err != nil {
		return false, err
	}
	to, err := message.GetRecipients()
	if err != nil {
		return false, err
	}
	if err := c.Mail(from); err != nil {
		return false, err
	}
	var refused []error
	for _, recipient := range to {
		if err := c.Rcpt(recipient); err != nil {
			refused = append(refused, fmt.Errorf("%s: %w", recipient, err))
		}
	}
	if len(refused) > 0 {
		return false, errors.Join(refused...)
	}
	w, err := c.Data()
	if err != nil {
		return false, err
	}
	if _, err := message.WriteTo(w); err != nil {
		return false, err
	}
	if err := w.Close(); err != nil {
		return false, err
	}
	return true, nil
}

// permanent reports whether a server refused a mail for ever, with 5xx: all the recipients that it
// refused, if there are several. Their order does not count.
func permanent(err error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return !slices.ContainsFunc(joined.Unwrap(), func(e error) bool { return !permanent(e) })
	}
	var answer *textproto.Error
	return errors.As(err, &answer) && answer.Code >= 500
}

// compose makes the mail of a Message and of the job that sends it.
func (a *Message) compose(c MailConfig, j *queue.Job) (*gomail.Msg, error) {
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	from := cmp.Or(a.From, c.From)
	if err := a.address(m, c, from); err != nil {
		return nil, err
	}
	m.Subject(a.Subject)
	identify(m, c, j)
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetGenHeader("Precedence", "list")
	m.SetGenHeader("X-Auto-Response-Suppress", "All")
	for name, value := range a.Headers {
		m.SetGenHeader(gomail.Header(name), value)
	}
	m.SetBodyString(gomail.TypeTextPlain, a.Text)
	if a.HTML != "" {
		m.AddAlternativeString(gomail.TypeTextHTML, a.HTML)
	}
	return m, nil
}

// address sets the addresses of a mail, with A-labels for their domains.
func (a *Message) address(m *gomail.Msg, c MailConfig, from string) error {
	one := func(set func(string) error) func(...string) error {
		return func(list ...string) error { return set(list[0]) }
	}
	for _, x := range []struct {
		field string
		set   func(...string) error
		list  []string
	}{{"from", one(m.From), []string{from}},
		{"return path", one(m.EnvelopeFrom), given(c.ReturnPath)},
		{"reply to", one(m.ReplyTo), given(cmp.Or(a.ReplyTo, c.ReplyTo))},
		{"to", m.To, a.To}, {"cc", m.Cc, a.CC}, {"bcc", m.Bcc, a.BCC}} {
		list := make([]string, len(x.list))
		for i, text := range x.list {
			var err error
			if list[i], err = mailAddress(text); err != nil {
				return fmt.Errorf("%s %q: %w", x.field, text, err)
			}
		}
		if len(list) == 0 {
			continue
		}
		if err := x.set(list...); err != nil {
			return fmt.Errorf("%s %q: %w", x.field, x.list, err)
		}
	}
	return nil
}

// identify sets Message-ID and Date, from the job if there is one: all attempts of a job
// send the same mail.
func identify(m *gomail.Msg, c MailConfig, j *queue.Job) {
	if j == nil || j.JID == "" {
		m.SetMessageID()
		m.SetDate()
		return
	}
	m.SetMessageIDWithValue(safeID(j.JID) + "@" + c.Domain)
	if created := j.Time("created_at"); !created.IsZero() {
		m.SetDateWithValue(created)
	} else {
		m.SetDate()
	}
}

// safeID returns a jid with a dot for each character that a Message-ID cannot hold.
func safeID(jid string) string {
	return strings.Map(func(r rune) rune {
		if r < '!' || r > '~' || strings.ContainsRune("<>()[]@,;:\\\"", r) {
			return '.'
		}
		return r
	}, jid)
}

// reserved are the headers that Message.Headers may not set: they are made from other
// fields, or by mail servers.
var reserved = map[string]bool{"from": true, "to": true, "cc": true, "bcc": true, "subject": true,
	"sender": true, "reply-to": true,
	"return-path": true, "message-id": true, "date": true, "mime-version": true,
	"content-type": true, "content-transfer-encoding": true,
	"received": true, "dkim-signature": true}

// check refuses a mail with a line end or another control character in a header or an
// address: such a text could add headers or recipients.
func (a *Message) check() error {
	if len(a.To)+len(a.CC)+len(a.BCC) == 0 {
		return errors.New("the mail has no recipient")
	}
	for field, texts := range map[string][]string{"from": {a.From}, "reply_to": {a.ReplyTo},
		"subject": {a.Subject}, "to": a.To, "cc": a.CC, "bcc": a.BCC} {
		for _, text := range texts {
			if !printable(text) {
				return fmt.Errorf("%s holds a control character: %.60q", field, text)
			}
		}
	}
	for name, value := range a.Headers {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool {
			return r <= ' ' || r > '~' || r == ':'
		}) || reserved[strings.ToLower(name)] {
			return fmt.Errorf("the mail cannot set the header %.60q", name)
		}
		if !printable(value) {
			return fmt.Errorf("the header %s holds a control character: %.60q", name, value)
		}
	}
	return nil
}

// printable reports whether a text has no control characters. Unicode's line separators
// count as control characters, because some programs treat them as line ends.
func printable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool {
		return r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029'
	})
}

// dialer connects within five seconds, with TLS from the first byte if config is not
// nil. The connection is closed when job, the context of the job, ends: the context of
// the dial itself ends as soon as the connection is made.
func dialer(job context.Context, config *tls.Config) gomail.DialContextFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		d := net.Dialer{Timeout: 5 * time.Second}
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		conn = &bounded{conn, context.AfterFunc(job, func() { conn.Close() })}
		if config == nil {
			return conn, nil
		}
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		return secure, nil
	}
}

// bounded is a connection that is closed when a context ends.
type bounded struct {
	net.Conn
	stop func() bool
}

// Close closes the connection.
func (b *bounded) Close() error {
	b.stop()
	return b.Conn.Close()
}
