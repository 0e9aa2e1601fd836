package env

import "testing"

func TestMaskURL(t *testing.T) {
	for raw, want := range map[string]string{
		"plain":                                  "plain",
		"redis://h:1/0":                          "redis://h:1/0",
		"redis://u:pw@h:1/0":                     "redis://u:***@h:1/0",
		"redis://:pw@[::1]:1":                    "redis://:***@[::1]:1",
		"postgres://u@h/d?sslpassword=pw":        "postgres://u@h/d?sslpassword=***",
		"host=h password=pw":                     "***",
		"redis://u:pw":                           "***",
		"a://://user:pw":                         "***",
		"redis://h/u:pw@other":                   "***",
		"redis://u:p#w@h":                        "***",
		"redis//u:pw@h":                          "***",
		"redis+cluster://u:pw@h:1,i:2/?tag=a":    "redis+cluster://u:***@h:1,i:2/?tag=a",
		"redis+cluster://h,i":                    "redis+cluster://h,i",
		"redis+cluster://u:p,w@h:1,[::1]:2":      "redis+cluster://u:***@h:1,[::1]:2",
		"redis+cluster://u:p,a/b@h":              "***",
		"redis+cluster://u:1,a?b@h":              "***",
		"redis+cluster://u:pw,h":                 "***",
		"redis+cluster://h,i/?password=pw&tag=a": "redis+cluster://h,i/?password=***&tag=a",
	} {
		t.Run("of "+raw, func(t *testing.T) {
			if got := MaskURL(raw); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}
