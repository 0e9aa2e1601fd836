package envelope

import "testing"

// FuzzExcerpt compares the fields of an excerpt with the fields of the whole payload.
func FuzzExcerpt(f *testing.F) {
	f.Add(`{"class":"A","args":["x"],"jid":"j","enqueued_at":1.5,"e":"a\\\"},{"}`, 20, 30)
	f.Add(`{"a":[{"b":"\\"},"\""],"class":"A"} `, 5, 12)
	f.Fuzz(func(t *testing.T, raw string, head, tail int) {
		j, err := ParseJob(raw)
		if head < 0 || head > len(raw) {
			return
		}
		if tail < 0 || tail > len(raw)-head {
			return
		}
		part, ok := Excerpt(raw[:head], raw[len(raw)-tail:])
		if !ok || err != nil {
			return // bytes that are no job must only cause no panic
		}
		whole := map[string]bool{`"class":"?"`: true}
		for _, m := range j.members {
			whole[m.name.token(raw)+":"+m.value.token(raw)] = true
		}
		for _, m := range part.members {
			if text := m.name.token(part.raw) + ":" + m.value.token(part.raw); !whole[text] {
				t.Errorf("%s is no field of %s", text, raw)
			}
		}
	})
}
