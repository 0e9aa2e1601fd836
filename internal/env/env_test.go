package env

import "testing"

func TestMaskURL(t *testing.T) {
	for raw, want := range map[string]string{
		"plain":                           "plain",
		"redis://h:1/0":                   "redis://h:1/0",
		"redis://u:pw@h:1/0":              "redis://u:***@h:1/0",
		"redis://:pw@[::1]:1":             "redis://:***@[::1]:1",
		"postgres://u@h/d?sslpassword=pw": "postgres://u@h/d?sslpassword=***",
		"host=h password=pw":              "***",
		"redis://u:pw":                    "***",
		"a://://user:pw":                  "***",
		"redis://h/u:pw@other":            "***",
		"redis://u:p#w@h":                 "***",
		"redis//u:pw@h":                   "***",
	} {
		t.Run("of "+raw, func(t *testing.T) {
			if got := MaskURL(raw); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}
