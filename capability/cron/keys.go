package cron

// The keys in Redis, without the namespace.
const keyNames = "kyu:cron" // the set of all names of entries

func entryKey(name string) string     { return "kyu:cron:" + name }
func runsKey(name string) string      { return "kyu:cron:" + name + ":runs" }
func lockKey(name string) string      { return "kyu:cron:" + name + ":lock" }
func ownerKey(schedule string) string { return "kyu:cron-owner:" + schedule }

// The keys of sidekiq-scheduler and of sidekiq-cron.
const (
	keySchedules = "schedules"
	keyStates    = "sidekiq-scheduler:states"
	keyLastTimes = "sidekiq-scheduler:last_times"
	keyNextTimes = "sidekiq-scheduler:next_times"
	keyCronJobs  = "cron_jobs"
)

func pushedKey(name string) string   { return "sidekiq-scheduler:pushed:" + name }
func cronJobKey(name string) string  { return "cron_job:" + name }
func enqueuedKey(name string) string { return "cron_job:" + name + ":enqueued" }
func historyKey(name string) string  { return "cron_job:" + name + ":jid_history" }
