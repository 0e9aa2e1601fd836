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
	} {
		if got, ok := ParseTime(tok); !ok || !got.Equal(want) {
			t.Errorf("parseTime(%s) = %v %v, want %v", tok, got.UTC(), ok, want.UTC())
		}
	}
	for _, tok := range []string{`"soon"`, `null`, `true`, ``, `[1]`, `1e400`} {
		if got, ok := ParseTime(tok); ok {
			t.Errorf("parseTime(%s) = %v, want absent", tok, got)
		}
	}
}

func TestTimestamps(t *testing.T) {
	millis, _ := ParseJob(`{"class":"A","created_at":1795345820974}`)
	seconds, _ := ParseJob(`{"class":"A","created_at":1795345820.974}`)
	whole := time.Unix(1795345820, 0)
	for _, c := range []struct {
		form Timestamps
		job  *Job
		want string
	}{
		// an integral float keeps its fraction: else Sidekiq 8 reads 1970
		{Float, millis, "1795345820.0"},
		{Millis, seconds, "1795345820000"},
		{Mirror, millis, "1795345820000"},
		{Mirror, seconds, "1795345820.0"},
		{Mirror, nil, "1795345820.0"},
	} {
		if got := string(c.form.AppendTime(nil, whole, c.job)); got != c.want {
			t.Errorf("%s: %s, want %s", c.form, got, c.want)
		}
	}
}
