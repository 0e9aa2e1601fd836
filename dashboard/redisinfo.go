package dashboard

import "strings"

// redisFields are the fields of Redis's INFO that Sidekiq's statistics have.
var redisFields = []string{"redis_version", "uptime_in_days", "connected_clients",
	"used_memory_human", "used_memory_peak_human"}

// redisStats reads redisFields from what INFO answers.
func redisStats(info string) map[string]string {
	all, some := map[string]string{}, map[string]string{}
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		all[name] = value
	}
	for _, name := range redisFields {
		if value, known := all[name]; known {
			some[name] = value
		}
	}
	return some
}
