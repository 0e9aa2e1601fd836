package envelope

import (
	"fmt"
	"strings"
	"testing"
)

func TestDisplay(t *testing.T) {
	const wrapper = `"class":"Sidekiq::ActiveJob::Wrapper"`
	const mail = `"UserMailer","welcome","deliver_now"`
	activeJob := func(class, arguments string) string {
		return fmt.Sprintf(`{%s,"wrapped":%q,"args":[{"job_class":%q,"arguments":%s}]}`, wrapper,
			class, class, arguments)
	}
	deep := strings.Repeat("[", maxDepth+5) + strings.Repeat("]", maxDepth+5)
	for name, c := range map[string]struct{ job, class, args string }{
		"a job has its own":          {`{"class":"A","args":[1, 2]}`, "A", `[1, 2]`},
		"display_class is preferred": {`{"class":"A","display_class":"B","args":[]}`, "B", `[]`},
		"ActiveJob's are unwrapped": {activeJob("J", `[1,"x",12345678901234567890]`), "J",
			`[1,"x",12345678901234567890]`},
		"a record is its global id": {activeJob("J", `[{"_aj_globalid":"gid://app/User/1"}]`), "J",
			`["gid://app/User/1"]`},
		"keys of ActiveJob are left out": {
			activeJob("J", `[{"a":[{"b":1,"_aj_hash_with_indifferent_access":true}],`+
				`"_aj_symbol_keys":["a"]}]`), "J", `[{"a":[{"b":1}]}]`},
		"a mail of Rails 5 is its method": {activeJob(mailJob5, `[`+mail+`,7]`),
			"UserMailer#welcome", `[7]`},
		"a mail of Rails 6 is its method": {
			activeJob(mailJob6, `[`+mail+`,{"params":{"n":2},"args":[7],"_aj_ruby2_keywords":[]}]`),
			"UserMailer#welcome", `[{"n":2},[7]]`},
		"a mail without arguments has none": {activeJob(mailJob6, `[`+mail+`]`),
			"UserMailer#welcome", `[]`},
		"a wrapper with a number is unwrapped": {`{` + wrapper + `,"wrapped":"J","args":[5]}`,
			"J", `[5]`},
		"a mail that has no method stays": {activeJob(mailJob6, `[1]`), mailJob6, `[1]`},
		"deep arguments stay":             {activeJob("J", deep), "J", deep},
		"the last of an encrypted job is replaced": {
			`{"class":"A","encrypt":true,"args":[1,"secret"]}`, "A", `[1,"[encrypted data]"]`},
		"a job that is not encrypted keeps its last": {
			`{"class":"A","encrypt":false,"args":[1]}`, "A", `[1]`},
	} {
		t.Run(name, func(t *testing.T) {
			j := mustParse(t, c.job)
			if got := j.DisplayClass(); got != c.class {
				t.Errorf("class %q, want %q", got, c.class)
			}
			if got := string(j.DisplayArgs()); got != c.args {
				t.Errorf("args %s, want %s", got, c.args)
			}
		})
	}
}
