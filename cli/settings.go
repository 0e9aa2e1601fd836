package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kyujobs/kyu/capability/cron"
	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/monitor"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
)

const defaultConcurrency = 5

// defaultQueues are served without any -q, in strict order.
var defaultQueues = []worker.QueueWeight{{Name: "default"}, {Name: "push"}, {Name: "mailers"},
	{Name: "pull"}}

// settings are the resolved configuration: flag over file over environment over
// default.
type settings struct {
	redis       queue.Config        // what all shards have in common
	shards      []queue.ShardConfig // one without a name, if KYU_SHARDS is not set
	placement   queue.Placement
	worker      worker.Config
	environment string
	logFormat   string
	logLevel    slog.Level
	http        string
	httpPublic  bool
	deadMax     int
	deadAge     time.Duration
	dev, check  bool
	lanes       laneRules
	schedule    *cron.Schedule // nil: this process pushes no scheduled jobs
	warnings    []string
	problems    error
	env         *env.Reader

	o *options
	f *file
}

func (a *App) resolve(o *options) *settings {
	s := &settings{o: o, f: &file{}, dev: o.devRun, check: o.check,
		env: &env.Reader{Lookup: func(key string) (string, bool) {
			v := a.Getenv(key)
			return v, v != ""
		}}}
	s.environment = s.pick("environment", "environment", "", "development", "APP_ENV",
		"RAILS_ENV", "RACK_ENV")
	if f, err := readFile(o, s.environment); err != nil {
		s.env.Problem("%w", err)
	} else {
		s.f = f
	}
	s.resolveWorker()
	s.resolveLog()
	if s.dev {
		s.env.Note("redis", "embedded, in memory only", "--dev")
		s.shards = []queue.ShardConfig{{}}
	} else {
		s.shards = queue.ShardsFromEnv(s.env)
	}
	s.placement = queue.PlacementFromEnv(s.env, s.shardNames())
	s.resolveWire()
	s.resolveHTTP()
	s.resolveLanes()
	s.resolveSchedule(a.Schedule)
	if a.Configure != nil {
		a.Configure(s.env, s.worker)
	}
	check := s.worker
	check.Mux = a.Mux
	s.problems = errors.Join(s.env.Err(), check.Validate())
	return s
}

// pick resolves a text: flag, file key, environment variables, default.
func (s *settings) pick(name, flag, key, fallback string, vars ...string) string {
	if flag != "" && s.o.set(flag) {
		v := map[string]string{"environment": s.o.environment, "tag": s.o.tag,
			"log-format": s.o.logFormat, "log-level": s.o.logLevel,
			"unknown": s.o.unknown, "timestamps": s.o.timestamps, "http": s.o.http,
			"max-rss": s.o.maxRSS, "schedule": s.o.schedule}[flag]
		s.env.Note(name, v, "--"+flag)
		return v
	}
	if v, ok := s.f.text(key); ok && key != "" {
		s.env.Note(name, v, s.f.source(key))
		return v
	}
	return s.env.String(name, fallback, vars...)
}

// The bounds of numbers that are no choice of anybody's: beyond them durations overflow.
const (
	maxThreads = 65_536
	maxSeconds = 100 * 365 * 24 * 3600
	maxCount   = 1_000_000_000
)

var threadBounds = whole(1, maxThreads)

// count resolves a number within bounds, in the same order as pick.
func (s *settings) count(name, flag, key string, given, fallback int, b bounds,
	vars ...string) float64 {
	if flag != "" && s.o.set(flag) {
		if err := b.check(float64(given), fmt.Sprintf("--%s %d", flag, given)); err != nil {
			s.env.Problem("%w", err)
			return float64(fallback)
		}
		s.env.Note(name, strconv.Itoa(given), "--"+flag)
		return float64(given)
	}
	n, ok, err := s.f.number(key, b)
	switch {
	case err != nil:
		s.env.Problem("%w", err)
		return float64(fallback)
	case ok:
		s.env.Note(name, strconv.FormatFloat(n, 'f', -1, 64), s.f.source(key))
		return n
	}
	return float64(s.env.Int(name, fallback, int(b.low), int(b.high), vars...))
}

func (s *settings) resolveWorker() {
	w := &s.worker
	concurrency := int(s.count("concurrency", "concurrency", "concurrency", s.o.concurrency,
		defaultConcurrency, threadBounds, "RAILS_MAX_THREADS"))
	w.Timeout = seconds(s.count("timeout", "timeout", "timeout", s.o.timeout, 25,
		bounds{1, maxSeconds, false}))
	w.Tag = s.pick("tag", "tag", "tag", s.o.instance)
	w.MaxRetries = int(s.count("max_retries", "", "max_retries", 0, 25, whole(1, 1_000_000)))
	w.PollInterval = seconds(s.count("average_scheduled_poll_interval", "",
		"average_scheduled_poll_interval", 0, 5, bounds{0.1, maxSeconds, false}))
	w.PollFixed = seconds(s.count("poll_interval_average", "", "poll_interval_average", 0, 0,
		bounds{0, maxSeconds, false}))
	s.deadMax = int(s.count("dead_max_jobs", "", "dead_max_jobs", 0, 10_000,
		whole(1, maxCount)))
	s.deadAge = seconds(s.count("dead_timeout_in_seconds", "", "dead_timeout_in_seconds", 0,
		180*24*3600, bounds{1, maxSeconds, false}))
	if text := s.pick("max_rss", "max-rss", "max_rss", ""); text != "" {
		bytes, err := size(text)
		if err != nil {
			s.env.Problem("--max-rss %w", err)
		}
		w.MaxRSS = bytes
	}
	w.MaxStuck = int(s.count("max_stuck", "max-stuck", "", s.o.maxStuck, 0,
		whole(0, maxThreads)))
	w.MaxIteration = seconds(s.count("max_iteration_runtime", "", "max_iteration_runtime", 0, 0,
		bounds{0, maxSeconds, false}))
	w.Labels = s.list("labels", nil)
	w.LogAttributes = s.list("logged_job_attributes", worker.DefaultLogAttributes)
	w.Capsules = []worker.Capsule{{Name: "default", Concurrency: concurrency, Queues: s.queues()}}
	more, err := s.f.capsules()
	if err != nil {
		s.env.Problem("%w", err)
	}
	w.Capsules = append(w.Capsules, more...)
	for _, c := range more {
		s.env.Note("capsule "+c.Name,
			fmt.Sprintf("%d threads, %s, %s", c.Concurrency, c.Mode(), queueList(c.Queues)),
			s.f.source("capsules"))
	}
	s.warn()
}

// list resolves a list of texts from the file.
func (s *settings) list(key string, fallback []string) []string {
	v := s.f.value(key)
	if v == nil {
		return fallback
	}
	var list []string
	if err := v.Decode(&list); err != nil {
		s.env.Problem("%s: want a list of texts", s.f.source(key))
	}
	s.env.Note(key, strings.Join(list, ","), s.f.source(key))
	return list
}

// resolveWire resolves how this worker shares its Redis with Sidekiq.
func (s *settings) resolveWire() {
	s.redis.Timestamps = queue.Timestamps(s.pick("timestamps", "timestamps", "timestamps",
		string(queue.Mirror)))
	if !slices.Contains([]queue.Timestamps{queue.Float, queue.Millis, queue.Mirror},
		s.redis.Timestamps) {
		s.env.Problem("timestamps %q: want float, millis or mirror", s.redis.Timestamps)
	}
	s.redis.Metrics7 = s.yes("sidekiq7_metrics", "sidekiq7-metrics", s.o.metrics7)
	s.worker.AllowBatches = s.yes("allow_batches", "allow-batches", s.o.allowBatches)
	unknown := s.pick("unknown", "unknown", "unknown", "retry")
	policy, err := worker.ParseUnknown(unknown)
	if err != nil {
		s.env.Problem("--unknown %w", err)
	}
	s.worker.Unknown = policy
}

func (s *settings) resolveHTTP() {
	s.http = s.pick("http", "http", "http", "")
	s.httpPublic = s.yes("http_public", "http-public", s.o.httpPublic)
	if s.http == "" {
		return
	}
	if err := monitor.CheckAddress(s.http, s.httpPublic); err != nil {
		s.env.Problem("--http %w", err)
	}
}

// size reads a number of bytes such as 900M or 1.5G.
func size(text string) (int64, error) {
	number, unit := strings.TrimRight(text, "KMGiB"), int64(1)
	for i, c := range "KMG" {
		if strings.ContainsRune(text, c) {
			unit = 1 << (10 * (i + 1))
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if n *= float64(unit); err != nil || !(n >= 0 && n < 1<<62) { // NaN is neither
		return 0, fmt.Errorf("%q: want a size such as 900M or 1.5G", text)
	}
	return int64(n), nil
}

// yes resolves a switch: flag, or file key.
func (s *settings) yes(key, flag string, given bool) bool {
	source := "default"
	inFile, there, err := s.f.flag(key)
	switch {
	case s.o.set(flag):
		source = "--" + flag
	case err != nil:
		s.env.Problem("%w", err)
	case there:
		source, given = s.f.source(key), inFile
	}
	s.env.Note(key, strconv.FormatBool(given), source)
	return given
}

// queues resolves the list of the default capsule's queues. Their weights decide its mode.
func (s *settings) queues() []worker.QueueWeight {
	queues, source := defaultQueues, "default"
	if v := s.f.value("queues"); v != nil {
		list, err := readQueues(s.f.source("queues"), v)
		if err != nil {
			s.env.Problem("%w", err)
		}
		queues, source = list, s.f.source("queues")
	}
	if s.o.instance != "" {
		queues, source = []worker.QueueWeight{{Name: instanceQueue(s.o.instance)}}, "--instance"
	}
	if len(s.o.queues) > 0 {
		queues, source = nil, "--queue"
		for _, text := range s.o.queues {
			q, err := parseQueue(text)
			if err != nil {
				s.env.Problem("%w", err)
			}
			queues = append(queues, q)
		}
	}
	c := worker.Capsule{Queues: queues}
	s.env.Note("queues", queueList(queues), source)
	s.env.Note("mode", string(c.Mode()), "derived from the queues")
	return queues
}

// instanceQueue is the queue of a unit's instance: push for push, and for push-2.
func instanceQueue(instance string) string {
	name, number, found := cutLast(instance, "-")
	if _, err := strconv.ParseUint(number, 10, 32); found && err == nil && name != "" {
		return name
	}
	return instance
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func (s *settings) warn() {
	if _, inFile := s.f.text("require"); inFile || s.o.set("require") {
		s.warnings = append(s.warnings,
			"--require does nothing: a Go program has its handlers built in")
	}
	keys := s.f.unknown()
	slices.Sort(keys)
	for _, key := range keys {
		s.warnings = append(s.warnings,
			fmt.Sprintf("%s: nothing reads the key %q: is it spelled right?", s.f.path, key))
	}
	for _, key := range []string{"redis_idle_timeout", "health_check"} {
		if _, ok := s.f.values[key]; ok {
			s.warnings = append(s.warnings, fmt.Sprintf("%s: the key %q has no effect here",
				s.f.path, key))
		}
	}
}

func (s *settings) resolveLog() {
	s.logFormat = s.pick("log_format", "log-format", "", "pretty")
	if !slices.Contains([]string{"pretty", "plain", "json"}, s.logFormat) {
		s.env.Problem("--log-format %q: want pretty, plain or json", s.logFormat)
	}
	level := s.pick("log_level", "log-level", "", "info")
	verbose, _, err := s.f.flag("verbose")
	if err != nil {
		s.env.Problem("%w", err)
	}
	if (s.o.verbose || verbose) && !s.o.set("log-level") {
		level = "debug"
	}
	if err := s.logLevel.UnmarshalText([]byte(level)); err != nil ||
		!slices.Contains([]string{"debug", "info", "warn", "error"}, level) {
		s.env.Problem("--log-level %q: want debug, info, warn or error", level)
	}
	if s.worker.NoJobLog, _, err = s.f.flag("skip_default_job_logging"); err != nil {
		s.env.Problem("%w", err)
	}
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// shardNames returns the names of the shards; none if there is one without a name.
func (s *settings) shardNames() (names []string) {
	for _, shard := range s.shards {
		if shard.Name != "" {
			names = append(names, shard.Name)
		}
	}
	return names
}

// stores returns the settings of all shards, with what they have in common.
func (s *settings) stores(capabilities []queue.Capability) []queue.ShardConfig {
	list := slices.Clone(s.shards)
	for i := range list {
		c := &list[i].Config
		c.Timestamps, c.Metrics7 = s.redis.Timestamps, s.redis.Metrics7
		c.Capabilities = capabilities
	}
	return list
}

// print writes every setting with its value and source.
func (s *settings) print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "SETTING\tVALUE\tSOURCE")
	for _, x := range s.env.Settings {
		fmt.Fprintf(w, "%s\t%s\t%s\n", x.Name, strings.ReplaceAll(x.Value, "\n", " "), x.Source)
	}
	w.Flush()
	for _, warning := range s.warnings {
		fmt.Fprintln(out, "warning:", warning)
	}
}
