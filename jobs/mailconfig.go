package jobs

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/env"
	gomail "github.com/wneessen/go-mail"
)

// MailConfig names a mail server and how to use it. Without a Server no mail can be sent.
type MailConfig struct {
	Server, Login, Password string
	Port                    int
	From, ReplyTo           string        // of mails that name none
	ReturnPath              string        // the envelope's sender; From if empty
	Domain                  string        // in HELO and in Message-IDs
	Auth                    string        // plain, login, cram_md5 or none; empty: plain
	StartTLS                string        // auto, always or never; empty: auto
	TLS                     bool          // TLS from the first byte, without STARTTLS
	CAFile                  string        // PEM; the system's certificates if empty
	Insecure                bool          // does not check the server's certificate
	Timeout                 time.Duration // for connecting, and again for sending; 0: 20 s
}

// String hides the password.
func (c MailConfig) String() string { return c.address() }

// GoString hides the password.
func (c MailConfig) GoString() string { return c.address() }

// LogValue hides the password.
func (c MailConfig) LogValue() slog.Value { return slog.StringValue(c.address()) }

func (c MailConfig) address() string { return net.JoinHostPort(c.Server, strconv.Itoa(c.Port)) }

// MailFromEnv reads Mastodon's SMTP_* variables or, with the prefix "BULK_", the
// BULK_SMTP_* variables for mass mail. domain is the local domain (LOCAL_DOMAIN), the
// default of MailConfig.Domain. Problems go to r.
func MailFromEnv(r *env.Reader, prefix, domain string) MailConfig {
	key := func(name string) string { return prefix + "SMTP_" + name }
	label := func(name string) string {
		return map[string]string{"BULK_": "bulk "}[prefix] + "mail " + name
	}
	c := MailConfig{Server: r.String(label("server"), "", key("SERVER"))}
	if c.Server == "" {
		return c
	}
	c.Server = asciiName(r, key("SERVER"), c.Server)
	c.Port = r.Int(label("port"), 25, 1, 65535, key("PORT"))
	c.Login = r.String(label("login"), "", key("LOGIN"))
	c.Password = r.Secret(label("password"), key("PASSWORD"))
	c.From = r.String(label("from"), "notifications@localhost", key("FROM_ADDRESS"))
	c.ReplyTo = r.String(label("reply to"), "", key("REPLY_TO"))
	c.ReturnPath = r.String(label("return path"), "", key("RETURN_PATH"))
	c.Domain = asciiName(r, key("DOMAIN"),
		r.String(label("domain"), cmp.Or(domain, "localhost"), key("DOMAIN")))
	c.Auth = choice(r, label("auth"), "plain", key("AUTH_METHOD"), map[string]string{
		"plain": "plain", "login": "login", "cram_md5": "cram_md5", "cram-md5": "cram_md5",
		"none": "none"})
	// Port 465 is that of TLS from the first byte (RFC 8314).
	c.TLS = r.Bool(label("tls"), r.Bool(label("ssl"), c.Port == 465, key("SSL")), key("TLS"))
	fallback := "auto"
	if !r.Bool(label("starttls auto"), true, key("ENABLE_STARTTLS_AUTO")) {
		fallback = "never"
	}
	c.StartTLS = choice(r, label("starttls"), fallback, key("ENABLE_STARTTLS"),
		map[string]string{"auto": "auto", "always": "always", "true": "always",
			"never": "never", "false": "never"})
	// OpenSSL's other two modes are for servers. They leave the check of a server's certificate on.
	c.Insecure = choice(r, label("verify"), "peer", key("OPENSSL_VERIFY_MODE"), map[string]string{
		"peer": "peer", "client_once": "peer", "fail_if_no_peer_cert": "peer",
		"none": "none"}) == "none"
	c.CAFile = r.String(label("ca file"), "", key("CA_FILE"))
	c.Timeout = time.Duration(r.Int(label("timeout (s)"), 20, 1, 600,
		key("READ_TIMEOUT"))) * time.Second
	if method := choice(r, label("delivery"), "smtp", key("DELIVERY_METHOD"),
		map[string]string{"smtp": "smtp", "sendmail": "sendmail"}); method != "smtp" {
		r.Problem("%s=%s: only smtp is supported: set SMTP_SERVER to the machine's own mail "+
			"server, such as localhost", key("DELIVERY_METHOD"), method)
	}
	if _, err := c.client(context.Background()); err != nil {
		r.Problem("%w", err)
	}
	return c
}

// choice reads a variable whose value must be one of words, in capitals or not. It returns the
// meaning of the word.
func choice(r *env.Reader, name, fallback, key string, words map[string]string) string {
	v := r.String(name, fallback, key)
	if meaning, ok := words[strings.ToLower(v)]; ok {
		return meaning
	}
	r.Problem("%s=%q: want one of %v", key, v, slices.Sorted(maps.Keys(words)))
	return fallback
}

// asciiName returns the name of a host in A-labels.
func asciiName(r *env.Reader, key, name string) string {
	ascii, err := mailDomain(name)
	if err != nil {
		r.Problem("%s: %w", key, err)
	}
	return ascii
}

// client makes a client for the mail of one job.
func (c MailConfig) client(ctx context.Context) (*gomail.Client, error) {
	encryption := &tls.Config{ServerName: c.Server, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: c.Insecure}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("SMTP_CA_FILE: %w", err)
		}
		encryption.RootCAs = x509.NewCertPool()
		if !encryption.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("SMTP_CA_FILE: %s holds no certificate in PEM", c.CAFile)
		}
	}
	policy := map[string]gomail.TLSPolicy{"always": gomail.TLSMandatory, "never": gomail.NoTLS}
	options := []gomail.Option{gomail.WithPort(c.Port), gomail.WithHELO(c.Domain),
		gomail.WithTimeout(cmp.Or(c.Timeout, 20*time.Second)),
		gomail.WithTLSConfig(encryption), gomail.WithDialContextFunc(dialer(ctx, nil)),
		gomail.WithoutNoop(), gomail.WithTLSPolicy(gomail.TLSOpportunistic)}
	if p, ok := policy[c.StartTLS]; ok {
		options = append(options, gomail.WithTLSPolicy(p))
	}
	if c.TLS {
		options = append(options, gomail.WithSSL(), gomail.WithTLSPolicy(gomail.NoTLS),
			gomail.WithDialContextFunc(dialer(ctx, encryption)))
	}
	if c.Login != "" && c.Auth != "none" {
		options = append(options, gomail.WithSMTPAuth(c.auth()), gomail.WithUsername(c.Login),
			gomail.WithPassword(c.Password))
	}
	client, err := gomail.NewClient(c.Server, options...)
	if err != nil {
		return nil, fmt.Errorf("mail server %s: %w", c.address(), err)
	}
	return client, nil
}

// auth returns the way to log in. The password goes over an unencrypted connection only
// if the configuration turns encryption off.
func (c MailConfig) auth() gomail.SMTPAuthType {
	clear := c.StartTLS == "never" && !c.TLS
	switch {
	case c.Auth == "cram_md5":
		return gomail.SMTPAuthCramMD5
	case c.Auth == "login" && clear:
		return gomail.SMTPAuthLoginNoEnc
	case c.Auth == "login":
		return gomail.SMTPAuthLogin
	case clear:
		return gomail.SMTPAuthPlainNoEnc
	}
	return gomail.SMTPAuthPlain
}
