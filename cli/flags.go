package cli

import (
	"fmt"

	"github.com/spf13/pflag"
)

// options are the values of the flags.
type options struct {
	concurrency, timeout, maxStuck               int
	queues, lanes                                []string
	config, environment, tag, require            string
	logFormat, logLevel                          string
	unknown, timestamps, http, maxRSS, instance  string
	schedule                                     string
	verbose, version, printConfig, check, devRun bool
	allowBatches, metrics7, httpPublic, man      bool

	set  func(name string) bool // reports whether a flag was given
	root string                 // the directory that files are below; "": as the flags name them
}

func newFlagSet(name string) *pflag.FlagSet {
	f := pflag.NewFlagSet(name, pflag.ContinueOnError)
	f.SortFlags = false
	f.Usage = func() {} // parse prints it, to the right place
	return f
}

// parse reads the arguments. For --help and --man it prints the text and returns pflag.ErrHelp.
func (a *App) parse(args []string) (*options, error) {
	o := &options{}
	f := a.flags(o)
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if help, _ := f.GetBool("help"); help {
		a.help(f)
		return nil, pflag.ErrHelp
	}
	if o.man {
		a.manPage(f)
		return nil, pflag.ErrHelp
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q: queues are given with -q", f.Arg(0))
	}
	o.set = f.Changed
	return o, nil
}

// flags is the set of all flags, in the order of the help.
func (a *App) flags(o *options) *pflag.FlagSet {
	f := newFlagSet(a.Name)
	f.SetOutput(a.Stderr)
	o.workFlags(f)
	o.logFlags(f)
	o.modeFlags(f)
	o.limitFlags(f)
	o.wireFlags(f)
	f.AddFlagSet(a.Flags)
	f.BoolP("help", "h", false, "print this and exit")
	f.BoolVar(&o.man, "man", false, "print the man page and exit")
	return f
}

// workFlags say which jobs run, and how many at once.
func (o *options) workFlags(f *pflag.FlagSet) {
	f.IntVarP(&o.concurrency, "concurrency", "c", defaultConcurrency,
		"the number `N` of threads: jobs that run at once")
	f.StringArrayVarP(&o.queues, "queue", "q", nil, "a `QUEUE[,WEIGHT]` to serve, repeatable; "+
		"without weights in strict order (default: default, push, mailers, pull), and then also "+
		"QUEUE,floor=5%,max=3,late=60s: a share of the jobs, a bound on threads, and the age "+
		"that raises the share")
	f.StringArrayVar(&o.lanes, "lanes", nil, "a `QUEUE,RULE` for the lanes of a queue, "+
		"repeatable: push,key=args.2|host,max=8,rate=20/s,burst=40 (docs/lanes.md)")
	f.StringVarP(&o.config, "config", "C", "", "a YAML `FILE` like Sidekiq's (default: "+
		"config/sidekiq.yml if it exists)")
	f.StringVarP(&o.environment, "environment", "e", "", "the `SECTION` of the file that applies "+
		"(default: $APP_ENV, $RAILS_ENV, $RACK_ENV, development)")
	f.StringVar(&o.instance, "instance", "", "the `NAME` of a unit's instance: push serves the "+
		"queue push, push-2 is a second process of it; NAME is also the tag. -q and -g come first")
	f.StringVarP(&o.tag, "tag", "g", "", "a `NAME` for this process on the web page")
	f.IntVarP(&o.timeout, "timeout", "t", 25,
		"`SECONDS` that running jobs have to finish when the process stops")
}

func (o *options) logFlags(f *pflag.FlagSet) {
	f.BoolVarP(&o.verbose, "verbose", "v", false, "log at level debug")
	f.StringVar(&o.logFormat, "log-format", "pretty", "the `FORMAT`: pretty (with colours on a "+
		"terminal), plain or json")
	f.StringVar(&o.logLevel, "log-level", "info", "the `LEVEL`: debug, info, warn or error; from "+
		"warn on jobs have no lines of their own")
}

// modeFlags end the process early, or run it without a Redis server.
func (o *options) modeFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.printConfig, "print-config", false, "print every setting with its source, "+
		"and exit")
	f.BoolVar(&o.check, "check", false, "check the configuration, connect to everything, and exit")
	f.BoolVar(&o.devRun, "dev", false, "run on an embedded Redis, in memory only")
	f.BoolVarP(&o.version, "version", "V", false, "print the version and exit")
}

// limitFlags say when the process gives up, and where its health is served.
func (o *options) limitFlags(f *pflag.FlagSet) {
	f.IntVar(&o.maxStuck, "max-stuck", 0, "give up, with exit code 3, when `N` handlers have "+
		"ignored their timeout (default: all threads)")
	f.StringVar(&o.maxRSS, "max-rss", "", "drain, and give up with exit code 3, when more memory "+
		"is in use: a `SIZE` such as 900M")
	f.StringVar(&o.http, "http", "", "serve /livez, /readyz and /metrics on an `ADDRESS`: "+
		"127.0.0.1:9394 or unix:/PATH")
	f.BoolVar(&o.httpPublic, "http-public", false, "let --http be an address that others can "+
		"reach: it has no password")
}

// wireFlags say how the process shares its Redis with Sidekiq.
func (o *options) wireFlags(f *pflag.FlagSet) {
	f.StringVar(&o.unknown, "unknown", "retry", "`POLICY` for jobs whose class has no handler "+
		"here: retry; hold (put them aside for a worker that serves it); or forward:QUEUE (to a "+
		"queue of Ruby's workers)")
	f.BoolVar(&o.allowBatches, "allow-batches", false, "run jobs of Sidekiq Pro's batches, which "+
		"then never complete")
	f.StringVar(&o.timestamps, "timestamps", "mirror", "`FORM` of times in payloads: float (for "+
		"all Sidekiqs), millis (for 8 and later), mirror (as the job has them)")
	f.BoolVar(&o.metrics7, "sidekiq7-metrics", false, "write metrics for Sidekiq 7's page too, "+
		"beside those for Sidekiq 8's")
	f.StringVar(&o.schedule, "schedule", "", "also push the jobs of a schedule: a YAML `FILE`, "+
		"or a sidekiq.yml with :scheduler: (docs/cron.md)")
	f.StringVarP(&o.require, "require", "r", "", "accepted because Sidekiq has it; it has no "+
		"effect: a `FILE` of Ruby cannot be loaded here")
}
