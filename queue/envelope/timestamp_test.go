package envelope

import (
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	at := time.UnixMilli(1795345820974)
	for tok, want := range map[string]time.Time{
		`1795345820.974`:              at,
		`1795345820974`:               at,
		`1795345820`:                  time.Unix(1795345820, 0),
		`1.795345820974e9`:            at,
		`"2026-11-22T11:10:20.974Z"`:  at,
		`"2026-11-22 11:10:20 UTC"`:   time.Unix(1795345820, 0),
		`"2026-11-22 12:10:20 +0100"`: time.Unix(1795345820, 0),
		`1795345820974.0`:             time.Unix(lastSecond, 0),
		`9223372036854775807`:         time.Unix(lastSecond, 0),
		`1e400`:                       time.Unix(lastSecond, 0),
		`-9223372036854775807`:        {},
		`-1e400`:                      {},
	} {
		t.Run("reads "+tok, func(t *testing.T) {
			if got, ok := ParseTime(tok); !ok || !got.Equal(want) {
				t.Errorf("%v %v, want %v", got.UTC(), ok, want.UTC())
			}
		})
	}
	for _, tok := range []string{`"soon"`, `null`, `true`, ``, `[1]`} {
		t.Run("reads no time from "+tok, func(t *testing.T) {
			if got, ok := ParseTime(tok); ok {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestTimestamps(t *testing.T) {
	millis := mustParse(t, `{"class":"A","created_at":1795345820974}`)
	seconds := mustParse(t, `{"class":"A","created_at":1795345820.974}`)
	whole := time.Unix(1795345820, 0)
	for name, c := range map[string]struct {
		form Timestamps
		job  *Job
		want string
	}{
		// without the fraction Sidekiq 8 would read a time in 1970
		"Float writes whole seconds with a fraction": {Float, millis, "1795345820.0"},
		"Millis writes milliseconds":                 {Millis, seconds, "1795345820000"},
		"Mirror writes milliseconds if the job does": {Mirror, millis, "1795345820000"},
		"Mirror writes seconds if the job does":      {Mirror, seconds, "1795345820.0"},
		"Mirror writes seconds in a new payload":     {Mirror, nil, "1795345820.0"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(c.form.AppendTime(nil, whole, c.job)); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}
