package cron

import "strings"

// Shared says why an entry cannot be pushed by Kyu and by a Ruby gem in one Redis without pushing
// some slots twice. It returns "" if they can: then both claim each slot under the same key.
func Shared(e, ruby Entry) string {
	switch {
	case e.Beside != ruby.Beside:
		return "the entry here does not say beside: " + string(ruby.Beside)
	case ruby.Every > 0:
		return "every has no common slots: Ruby counts from the start of each process"
	case strings.Contains(e.Cron, "H"):
		return "H gives other slots than the random numbers of Ruby's file"
	case e.Cron != ruby.Cron:
		return "the two have different cron expressions: " + e.Cron + " and " + ruby.Cron
	case e.TZ != ruby.TZ:
		return "the two have different time zones"
	}
	return ""
}
