package envelope

import "strings"

// ValidName reports whether Kyu creates a queue or a class of the name s: whether s matches
// [A-Za-z0-9_.:-]{1,128}. Other names break keys, pages of Sidekiq's web UI, or fields of metrics.
func ValidName(s string) bool {
	if len(s) == 0 || len(s) > 128 {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("_.:-", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// maxQueueName is how long a queue's name may be, in bytes.
const maxQueueName = 512

// QueueName reports whether a queue of the name s can be served, read and cleared. Ruby creates
// queues of any name; only a line break is refused, because the record of a process lists its
// queues one a line.
func QueueName(s string) bool {
	return s != "" && len(s) <= maxQueueName && !strings.ContainsAny(s, "\r\n")
}
