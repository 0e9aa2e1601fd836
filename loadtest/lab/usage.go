package lab

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// ticksPerSecond is the unit of CPU time in /proc, fixed on Linux.
const ticksPerSecond = 100

// fields of /proc/PID/stat, counted from the one after the name of the program
const (
	ownTime     = 11 // in user mode, and after it in the kernel
	childrenEnd = 15 // after the two times of children that have ended
)

// CPUSeconds is the CPU time that a process has used, without its children.
func CPUSeconds(pid int) float64 { return cpuTime(pid, ownTime, ownTime+2) }

// TreeSeconds is the CPU time that a process and all its children have used, also those that
// have ended: a Postgres is many processes.
func TreeSeconds(pid int) (seconds float64) {
	for _, p := range Family(pid) {
		seconds += cpuTime(p, ownTime, childrenEnd)
	}
	return seconds
}

// cpuTime adds up fields of /proc/PID/stat; it is 0 for a process that has ended.
func cpuTime(pid, from, to int) (seconds float64) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	for _, field := range strings.Fields(rest)[from:to] {
		ticks, _ := strconv.ParseFloat(field, 64)
		seconds += ticks / ticksPerSecond
	}
	return seconds
}

// Family is a process and its children.
func Family(pid int) []int {
	list := []int{pid}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return list
	}
	for _, text := range strings.Fields(string(b)) {
		if child, err := strconv.Atoi(text); err == nil {
			list = append(list, child)
		}
	}
	return list
}

// ResidentMB is the RAM that a process holds, in MiB.
func ResidentMB(pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024
		}
	}
	return 0
}

// Commands counts the commands that move jobs, as clients have sent them to Redis. Commands
// inside of scripts do not count.
func (l *Lab) Commands(ctx context.Context) (n int) {
	return l.Calls(ctx, "evalsha", "blmove", "brpop", "ping", "client|unblock", "exec")
}

// Calls counts the calls of commands in Redis, by their names in lower case.
func (l *Lab) Calls(ctx context.Context, names ...string) (n int) {
	info := l.Raw.Info(ctx, "commandstats").Val()
	for _, name := range names {
		for line := range strings.Lines(info) {
			if rest, ok := strings.CutPrefix(line, "cmdstat_"+name+":calls="); ok {
				calls, _ := strconv.Atoi(rest[:strings.IndexByte(rest, ',')])
				n += calls
			}
		}
	}
	return n
}
