package jobs_test

import (
	"strings"
	"testing"

	"github.com/kyujobs/kyu/test/kit/smtptest"
)

func TestMailDomains(t *testing.T) {
	server := smtptest.Start(t)
	m := mailer(t, server.Port, map[string]string{"SMTP_DOMAIN": "post.bücher.example",
		"SMTP_FROM_ADDRESS": "Büro <post@bücher.example>", "SMTP_RETURN_PATH": "b@bücher.example"})
	a := message("Hans <hans@bücher.example>", "plain@b.example")
	a.CC = []string{"c@日本.example"}
	if err := m.Send(run(t, mailJob), a); err != nil {
		t.Fatal(err)
	}
	mail := server.Await(t, 1)[0]
	t.Run("go out as A-labels in the envelope", func(t *testing.T) {
		got := mail.From + " " + strings.Join(mail.To, " ")
		const want = "b@xn--bcher-kva.example hans@xn--bcher-kva.example plain@b.example " +
			"c@xn--wgv71a.example"
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
	t.Run("go out as A-labels in the headers", func(t *testing.T) {
		for _, want := range []string{"@post.xn--bcher-kva.example>",
			"<post@xn--bcher-kva.example>", "<hans@xn--bcher-kva.example>"} {
			if !strings.Contains(mail.Data, want) {
				t.Errorf("no %s in\n%s", want, mail.Data)
			}
		}
	})
	t.Run("that are no names send the job to the dead set", func(t *testing.T) {
		err := m.Send(run(t, mailJob), message("a@\u2e2e.\u00ad"))
		if outcome(err) != "dead" {
			t.Error(err)
		}
	})
}
