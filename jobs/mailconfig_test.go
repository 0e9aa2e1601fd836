package jobs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/jobs"
)

func TestMailFromEnv(t *testing.T) {
	vars := map[string]string{"SMTP_SERVER": "mail.example", "SMTP_PORT": "x",
		"SMTP_AUTH_METHOD": "ntlm", "SMTP_ENABLE_STARTTLS": "maybe", "SMTP_CA_FILE": "/nowhere",
		"SMTP_OPENSSL_VERIFY_MODE": "some", "SMTP_DELIVERY_METHOD": "sendmail",
		"SMTP_PASSWORD": "hush"}
	r := &env.Reader{Lookup: func(k string) (string, bool) { v, ok := vars[k]; return v, ok }}
	c := jobs.MailFromEnv(r, "", "home.example")
	t.Run("names all wrong variables", func(t *testing.T) {
		for _, want := range []string{"SMTP_PORT", "SMTP_AUTH_METHOD", "SMTP_ENABLE_STARTTLS",
			"SMTP_CA_FILE", "SMTP_OPENSSL_VERIFY_MODE", "SMTP_DELIVERY_METHOD"} {
			if err := r.Err(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("no %s in %v", want, err)
			}
		}
	})
	t.Run("hides the password", func(t *testing.T) {
		text := fmt.Sprintf("%v %+v %#v %v", c, c, c, r.Settings)
		if strings.Contains(text, "hush") {
			t.Error(text)
		}
	})
}

func TestMailSettings(t *testing.T) {
	read := func(vars map[string]string) (jobs.MailConfig, error) {
		r := &env.Reader{Lookup: func(k string) (string, bool) {
			if k == "SMTP_SERVER" {
				return "mail.example", true
			}
			v, ok := vars[k]
			return v, ok
		}}
		return jobs.MailFromEnv(r, "", "home.example"), r.Err()
	}
	for _, c := range []struct {
		key, value string
		right      func(jobs.MailConfig) bool
	}{
		{"SMTP_AUTH_METHOD", "PLAIN", func(c jobs.MailConfig) bool { return c.Auth == "plain" }},
		{"SMTP_AUTH_METHOD", "CRAM-MD5",
			func(c jobs.MailConfig) bool { return c.Auth == "cram_md5" }},
		{"SMTP_ENABLE_STARTTLS", "true",
			func(c jobs.MailConfig) bool { return c.StartTLS == "always" }},
		{"SMTP_ENABLE_STARTTLS", "false",
			func(c jobs.MailConfig) bool { return c.StartTLS == "never" }},
		{"SMTP_OPENSSL_VERIFY_MODE", "fail_if_no_peer_cert",
			func(c jobs.MailConfig) bool { return !c.Insecure }},
		{"SMTP_OPENSSL_VERIFY_MODE", "client_once",
			func(c jobs.MailConfig) bool { return !c.Insecure }},
		{"SMTP_OPENSSL_VERIFY_MODE", "none", func(c jobs.MailConfig) bool { return c.Insecure }},
		{"SMTP_PORT", "465", func(c jobs.MailConfig) bool { return c.TLS }},
		{"SMTP_PORT", "587", func(c jobs.MailConfig) bool { return !c.TLS }},
	} {
		t.Run("reads "+c.key+"="+c.value, func(t *testing.T) {
			if got, err := read(map[string]string{c.key: c.value}); err != nil || !c.right(got) {
				t.Errorf("%+v %v", got, err)
			}
		})
	}
	t.Run("takes no TLS on port 465 if it is told", func(t *testing.T) {
		got, err := read(map[string]string{"SMTP_PORT": "465", "SMTP_TLS": "false"})
		if err != nil || got.TLS {
			t.Errorf("%+v %v", got, err)
		}
	})
}
