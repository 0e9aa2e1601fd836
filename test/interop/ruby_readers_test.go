package interop

import (
	"cmp"
	"encoding/json"
	"fmt"
)

// readers reads the record of the registered process as the Busy pages of 6, 7 and 8 do, and
// checks that the faults that they would find are exactly want. The rules are those that the real
// pages follow (docs/wire.md 9.3, 9.4 and 9.5).
func (k *kase) readers(want ...string) {
	k.Helper()
	id := k.firstProcess()
	r := &record{fields: k.Raw.HGetAll(k.Context(), id).Val()}
	r.readInfo(id)
	r.readFields()
	for _, key := range []string{":workers", ":work"} {
		r.readWork(key, k.Raw.HGetAll(k.Context(), id+key).Val())
	}
	k.Equal("faults that readers find", r.faults, fmt.Sprint(want))
}

// record is the record of a process with what readers find wrong in it.
type record struct {
	fields map[string]string
	faults []string
}

func (r *record) want(ok bool, fault string) {
	if !ok {
		r.faults = append(r.faults, fault)
	}
}

// readInfo reads the JSON in the field info.
func (r *record) readInfo(id string) {
	var info struct {
		Identity    string
		StartedAt   float64 `json:"started_at"`
		Queues      []any
		Concurrency float64
		Weights     []any
		Capsules    map[string]struct {
			Mode        string
			Concurrency float64
			Weights     any
		}
	}
	r.want(json.Unmarshal([]byte(r.fields["info"]), &info) == nil, "info is no such JSON")
	r.want(info.StartedAt >= 1e9 && info.StartedAt <= 1e11, "started_at is not in seconds")
	r.want(info.Identity == id, "identity is not the member of processes")
	r.want(info.Queues != nil, "6: no queues")
	r.want(info.Concurrency == 8, "7: info has no concurrency")
	r.want(len(info.Weights) > 0, "7: no array of weights")
	capsule := info.Capsules["default"]
	r.want(capsule.Mode == "strict", "8: the capsule has no mode")
	r.want(capsule.Concurrency == 8, "8: the capsule has no concurrency")
	r.want(capsule.Weights != nil, "8: the capsule has no weights")
}

// readFields reads the other fields of the hash.
func (r *record) readFields() {
	r.want(r.fields["concurrency"] == "8",
		fmt.Sprintf("8: %s threads", cmp.Or(r.fields["concurrency"], "0")))
	r.want(r.fields["quiet"] == "false", "quiet is not false")
	for _, name := range []string{"beat", "rss", "rtt_us"} {
		r.want(r.fields[name] != "", "no field "+name)
	}
}

// readWork reads the hash of the running jobs, which must hold one.
func (r *record) readWork(key string, rows map[string]string) {
	r.want(len(rows) == 1, fmt.Sprintf("%d jobs in %s", len(rows), key))
	for _, text := range rows {
		var job struct {
			Queue   *string
			Payload *string
			RunAt   *int64 `json:"run_at"`
		}
		err := json.Unmarshal([]byte(text), &job)
		r.want(err == nil, fmt.Sprintf("%s: %v: %s", key, err, text))
		r.want(job.Queue != nil && job.Payload != nil && job.RunAt != nil,
			fmt.Sprintf("%s: a field is missing: %s", key, text))
	}
}
