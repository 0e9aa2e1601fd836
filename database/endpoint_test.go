package database

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"
)

func TestEndpoint(t *testing.T) {
	const url = "postgres://u:secret@h:1/d?"
	t.Run("drops the parameters that mean nothing here", func(t *testing.T) {
		for _, address := range []string{
			url + "adapter=postgresql&encoding=unicode&timeout=5000&reaping_frequency=10" +
				"&sslcompression=0&fallback_application_name=x&gssencmode=prefer&replica=false",
			"host=h user=u dbname=d encoding=utf8 sslcompression=1 gssencmode=disable",
		} {
			e, err := parseEndpoint(address)
			if err != nil {
				t.Fatal(err)
			}
			if left := e.config.ConnConfig.RuntimeParams; len(left) != 0 {
				t.Errorf("%s: %v would be sent to the server", address, left)
			}
		}
	})
	t.Run("uses the settings of Rails", func(t *testing.T) {
		e, err := parseEndpoint(url + "pool=25&prepared_statements=false&checkout_timeout=2.5" +
			"&schema_search_path=mastodon,public&statement_timeout=9s")
		if err != nil {
			t.Fatal(err)
		}
		params := e.config.ConnConfig.RuntimeParams
		if e.pool != 25 || e.prepared != PreparedOff || e.wait != 2500*time.Millisecond ||
			params["search_path"] != "mastodon,public" || params["statement_timeout"] != "9s" {
			t.Errorf("%+v %v", e, params)
		}
	})
	t.Run("sets the versions of TLS, also of the fallbacks", func(t *testing.T) {
		e, err := parseEndpoint("postgres://u@a,b/d?sslmode=require" +
			"&ssl_min_protocol_version=TLSv1.3")
		if err != nil {
			t.Fatal(err)
		}
		x := e.config.ConnConfig
		if x.TLSConfig.MinVersion != tls.VersionTLS13 || len(x.Fallbacks) != 1 ||
			x.Fallbacks[0].TLSConfig.MinVersion != tls.VersionTLS13 {
			t.Errorf("%x", x.TLSConfig.MinVersion)
		}
	})
	t.Run("connects to hostaddr, and checks the certificate of host", func(t *testing.T) {
		e, err := parseEndpoint("postgres://u@a.example,b.example/d?sslmode=prefer" +
			"&hostaddr=10.0.0.1,10.0.0.2")
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.config.ConnConfig.LookupFunc(t.Context(), "b.example")
		if err != nil || len(got) != 1 || got[0] != "10.0.0.2" {
			t.Error(got, err)
		}
	})
	for params, want := range map[string]string{
		"pool=0": "pool=0: want a whole number", "pool=many": "pool=many: want a whole number",
		"prepared_statements=maybe": "want true or false", "checkout_timeout=-1": "want seconds",
		"checkout_timeout=nan": "want seconds", "encoding=latin1": "UTF-8",
		"gssencmode=require": "use sslmode", "sslcrl=/x": "revoked", "sslcrldir=/x": "revoked",
		"ssl_min_protocol_version=SSLv3": "TLSv1.2", "keepalives_idle=x": "keepalives_idle=x",
		"tcp_user_timeout=-5": "tcp_user_timeout=-5", "hostaddr=h2": "hostaddr=h2",
		"hostaddr=10.0.0.1,10.0.0.2": "one IP address for each host",
	} {
		t.Run("names "+params, func(t *testing.T) {
			_, err := parseEndpoint(url + params)
			if err == nil || !strings.Contains(err.Error(), want) ||
				strings.Contains(err.Error(), "secret") {
				t.Error(err)
			}
		})
	}
}

// FuzzEndpoint holds that no address makes the program panic, and that no error shows the password.
func FuzzEndpoint(f *testing.F) {
	f.Add("postgres://u:sesame@h:1/d?pool=5&hostaddr=1.2.3.4&keepalives=0")
	f.Add("host=a,b password=sesame user=u sslmode=verify-full requirepeer=x")
	f.Add("postgres://u:sesame@[::1]:1,/d?encoding=x")
	f.Fuzz(func(t *testing.T, url string) {
		e, err := parseEndpoint(url)
		if err == nil && (e.pool < 0 || e.wait < 0 || e.config.ConnConfig.DialFunc == nil) {
			t.Errorf("%q: %+v", url, e)
		}
	})
}
