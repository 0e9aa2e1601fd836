package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/kyujobs/kyu/worker"
	"github.com/spf13/pflag"
)

// options are the flags as they were given.
type options struct {
	concurrency, timeout, maxStuck               int
	queues                                       []string
	config, environment, tag, require            string
	logFormat, logLevel                          string
	unknown, timestamps, http, maxRSS, instance  string
	verbose, version, printConfig, check, devRun bool
	allowBatches, metrics7, httpPublic           bool

	set func(name string) bool // was it given?
}

func newFlagSet(name string) *pflag.FlagSet {
	f := pflag.NewFlagSet(name, pflag.ContinueOnError)
	f.SortFlags = false
	f.Usage = func() {} // parse prints it, to the right place
	return f
}

func (a *App) parse(args []string) (*options, error) {
	o := &options{}
	f := newFlagSet(a.Name)
	f.SetOutput(a.Stderr)
	f.IntVarP(&o.concurrency, "concurrency", "c", 5, "threads: jobs that run at once")
	f.StringArrayVarP(&o.queues, "queue", "q", nil, "a `QUEUE[,WEIGHT]` to serve, repeatable; "+
		"without weights in strict order\n(default: default, push, mailers, pull)")
	f.StringVarP(&o.config, "config", "C", "", "a YAML `FILE` like Sidekiq's (default: "+
		"config/sidekiq.yml if it is there)")
	f.StringVarP(&o.environment, "environment", "e", "",
		"section of the file that applies (default: $APP_ENV, $RAILS_ENV, $RACK_ENV, development)")
	f.StringVar(&o.instance, "instance", "", "serve the queue that a unit's instance is named "+
		"after: push, or push-2 for a second\nprocess of it; also the tag. -q and -g come first")
	f.StringVarP(&o.tag, "tag", "g", "", "a name for this process on the web page")
	f.IntVarP(&o.timeout, "timeout", "t", 25,
		"`SECONDS` that running jobs have to finish when it stops")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "log at level debug")
	f.StringVar(&o.logFormat, "log-format", "pretty", "pretty, plain or json")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error; no lines per job "+
		"from warn on")
	f.BoolVar(&o.printConfig, "print-config", false, "print every setting and where it came "+
		"from, and exit")
	f.BoolVar(&o.check, "check", false, "check the configuration, connect to everything, and exit")
	f.BoolVar(&o.devRun, "dev", false, "run on an embedded Redis, in memory only")
	f.IntVar(&o.maxStuck, "max-stuck", 0, "give up, with exit code 3, when so many handlers "+
		"ignore the end of their time\n(default: all threads)")
	f.StringVar(&o.maxRSS, "max-rss", "", "drain, and give up with exit code 3, when more memory "+
		"is in use: a `SIZE` such as 900M")
	f.StringVar(&o.http, "http", "", "serve /livez, /readyz and /metrics on an `ADDRESS`: "+
		"127.0.0.1:9394 or unix:/PATH")
	f.BoolVar(&o.httpPublic, "http-public", false, "let --http be an address that others can "+
		"reach: it has no password")
	f.StringVar(&o.unknown, "unknown", "retry", "`POLICY` for jobs whose class has no handler "+
		"here: retry; hold (put them aside for a\nworker that serves it); or forward:QUEUE (to a "+
		"queue of Ruby's workers)")
	f.BoolVar(&o.allowBatches, "allow-batches", false, "run jobs of Sidekiq Pro's batches, which "+
		"then never complete")
	f.StringVar(&o.timestamps, "timestamps", "mirror", "`FORM` of times in payloads: float (for "+
		"all Sidekiqs), millis (for 8 and later),\nmirror (as the job has them)")
	f.BoolVar(&o.metrics7, "sidekiq7-metrics", false, "write metrics for Sidekiq 7's page too, "+
		"beside those for Sidekiq 8's")
	f.StringVarP(&o.require, "require", "r", "", "accepted for Sidekiq's sake: "+
		"there is nothing to require")
	f.BoolVarP(&o.version, "version", "V", false, "print the version and exit")
	f.AddFlagSet(a.Flags)
	f.BoolP("help", "h", false, "print this and exit")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if help, _ := f.GetBool("help"); help {
		fmt.Fprintf(a.Stdout, "Usage: %s [flags]\n\n"+
			"Takes jobs from queues in Redis and runs them.\n\n%s\n"+
			"Redis:    REDIS_URL, or REDIS_HOST, REDIS_PORT, REDIS_DB, REDIS_USER, "+
			"REDIS_PASSWORD;\n"+
			"          each with the prefix SIDEKIQ_ comes first; "+
			"NAME_FILE reads a value from a file.\n"+
			"          REDIS_NAMESPACE puts a name before every key, as Sidekiq 6 with "+
			"redis-namespace.\n"+
			"          REDIS_SENTINELS with REDIS_SENTINEL_MASTER finds it by Sentinel; "+
			"REDIS_TLS_CA, _CERT\n"+
			"          and _KEY go with rediss://; REDIS_WAIT_REPLICAS=1 lets pushes wait for "+
			"a replica.\n"+
			"Signals:  TERM and INT stop, TSTP quiets, TTIN writes all stacks to the log.\n"+
			"Exits:    0 stopped, 1 could not start, 2 wrong usage, 3 gave up over stuck "+
			"handlers or memory.\n", a.Name, f.FlagUsages())
		return nil, pflag.ErrHelp
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q: queues are given with -q", f.Arg(0))
	}
	o.set = func(name string) bool { return f.Changed(name) }
	return o, nil
}

// parseQueue reads NAME or NAME,WEIGHT.
func parseQueue(text string) (worker.QueueWeight, error) {
	name, weight, weighted := strings.Cut(text, ",")
	q := worker.QueueWeight{Name: strings.TrimSpace(name)}
	if weighted {
		n, err := strconv.Atoi(strings.TrimSpace(weight))
		if err != nil || n < 0 {
			return q, fmt.Errorf("queue %q: the weight after the comma must be a whole number",
				text)
		}
		q.Weight = n
	}
	return q, nil
}

func queueList(queues []worker.QueueWeight) string {
	var names []string
	for _, q := range queues {
		name := q.Name
		if q.Weight > 0 {
			name += "," + strconv.Itoa(q.Weight)
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}
