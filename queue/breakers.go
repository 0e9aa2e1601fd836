package queue

// KeyBreakers is the sorted set of the hosts that have failed lately: host → when what is known
// about it expires, in milliseconds of Redis's clock. Package jobs writes it in its own Redis, and
// package inspect reads it.
const KeyBreakers = "kyu:breakers"

// BreakerKey is the hash of a host's breaker: failures (in a row), until (nothing is sent before;
// Redis's clock in milliseconds; absent while the breaker is closed), cool (milliseconds for which
// it was last opened), probe (1 while one request tries the host).
func BreakerKey(host string) string { return "kyu:breaker:" + host }

// FailureDaysKey is the set of the days on which deliveries to a host failed. It is Mastodon's.
func FailureDaysKey(host string) string { return "exhausted_deliveries:" + host }
