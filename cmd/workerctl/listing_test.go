package main

import (
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue/envelope"
)

func TestRow(t *testing.T) {
	t.Run("shows the job in its wrapper", func(t *testing.T) {
		raw := `{"class":"Wrapper","wrapped":"Mail","jid":"a","queue":"q","args":[1],` +
			`"retry_count":0,"error_class":"E","error_message":"m"}`
		j, err := envelope.ParseJob(raw)
		if err != nil {
			t.Fatal(err)
		}
		r := newRow(raw, j, time.Unix(5, 0))
		if r.Class != "Mail" || r.JID != "a" || *r.Count != 0 || r.Error != "E: m" ||
			r.At.Unix() != 5 || string(r.Job) != raw {
			t.Errorf("%+v", r)
		}
	})
	t.Run("keeps a payload that is not a job", func(t *testing.T) {
		if r := newRow("no json", nil, time.Time{}); r.Class != "(not a job)" || r.At != nil ||
			string(r.Job) != `"no json"` {
			t.Errorf("%+v", r)
		}
	})
}
