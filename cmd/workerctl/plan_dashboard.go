package main

import (
	"fmt"
	"strconv"
)

// dashboardOf says what the variables of a server's web and streaming processes are for the
// dashboard. It is empty if none of them is set.
func dashboardOf(c *call) (lines []string) {
	say := func(format string, args ...any) {
		lines = append(lines, fmt.Sprintf(format, args...))
	}
	number := func(key string) int { // 0 if it is not set
		text, _ := c.env.Get(key)
		n, _ := strconv.Atoi(text)
		return n
	}
	web, threads := number("WEB_CONCURRENCY"), number("MAX_THREADS")
	switch {
	case web > 0 && threads > 0:
		say("WEB_CONCURRENCY=%d and MAX_THREADS=%d: one process, dashboard.service, which uses "+
			"all cores", web, threads)
	case web > 0:
		say("WEB_CONCURRENCY=%d: one process, dashboard.service, which uses all cores", web)
	case threads > 0:
		say("MAX_THREADS=%d: a request takes a goroutine and no thread", threads)
	}
	if n := number("STREAMING_CLUSTER_NUM"); n > 0 {
		say("STREAMING_CLUSTER_NUM=%d: workerctl install-units --dashboard --streams %d, each for "+
			"10,000 browsers", n, n)
	}
	if url, _ := c.env.Get("STREAMING_API_BASE_URL"); url != "" {
		say("STREAMING_API_BASE_URL=%s: Mastodon's; the dashboard needs another address, in "+
			"/etc/kyu/dashboard.env", url)
	}
	return lines
}

// explainDashboard prints what these variables are for the dashboard.
func explainDashboard(c *call) {
	lines := dashboardOf(c)
	if len(lines) == 0 {
		return
	}
	fmt.Fprintln(c.out, "\nDashboard: not counted above")
	for _, line := range lines {
		fmt.Fprintln(c.out, "  "+printable(line))
	}
}
