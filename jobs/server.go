package jobs

import (
	"context"
	"log/slog"

	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/internal/guard"
	"github.com/kyujobs/kyu/internal/version"
	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

// Config holds the settings of the jobs beside Postgres and the queue.
type Config struct {
	Redis       queue.Config // holds feeds, breakers, days with failures, and locks
	Cache       queue.Config // holds data that can be computed again
	Guard       *guard.Guard // decides to which addresses requests may go
	Mail        MailConfig
	Bulk        MailConfig // for mass mail; Mail if it has no Server
	MailErr     error      // what is wrong with Mail and Bulk: with it every mail fails
	Domain      string     // the host in the URLs of local accounts
	DoubleKnock bool       // see Deliveries.DoubleKnock
	SignFetches bool       // see Resources.Actors
}

// ConfigFromEnv reads the variables that Mastodon uses: REDIS_* and CACHE_REDIS_*,
// LOCAL_DOMAIN and WEB_DOMAIN, ALLOWED_PRIVATE_ADDRESSES, SMTP_* and BULK_SMTP_*. It also
// reads DOUBLE_KNOCK and SIGN_FETCHES. The domain's default is localhost. Problems go to r, those
// with mail to MailErr: a worker that serves no mail needs none of its settings.
func ConfigFromEnv(r *env.Reader) Config {
	local := r.String("local domain", "localhost", "LOCAL_DOMAIN")
	mail := &env.Reader{Lookup: r.Lookup}
	defer func() { r.Settings = append(r.Settings, mail.Settings...) }()
	single, bulk := MailFromEnv(mail, "", local), MailFromEnv(mail, "BULK_", local)
	return Config{
		Redis:       queue.RedisFromEnv(r, "app redis", ""),
		Cache:       queue.RedisFromEnv(r, "cache redis", "CACHE_"),
		Guard:       guard.FromEnv(r),
		Mail:        single,
		Bulk:        bulk,
		MailErr:     mail.Err(),
		Domain:      r.String("web domain", local, "WEB_DOMAIN"),
		DoubleKnock: r.Bool("double knock", false, "DOUBLE_KNOCK"),
		SignFetches: r.Bool("sign fetches", false, "SIGN_FETCHES"),
	}
}

// Server holds all jobs of a Mastodon-like server. They share their connections.
type Server struct {
	Notifications *Notifications
	Feeds         *Feeds
	Deliveries    *Deliveries
	Webhooks      *Webhooks
	Mail          *Mail
	Resources     *Resources
	Previews      *Previews

	http         *HTTP
	redis, cache *redis.Client
}

// NewServer makes the jobs of a worker with that many threads. With 0 threads other
// servers' hosts have neither limits nor breakers (see Hosts). backend is where the jobs push
// further jobs: a Store, or a Backend over shards. Connections are opened when they are first
// used, and closed by Close. The error names the Redis address that is wrong.
func NewServer(c Config, db *database.Database, backend queue.Backend, threads int,
	log *slog.Logger) (*Server, error) {
	connections := max(threads, 10) // at least one for each thread
	app, err := c.Redis.Redis(connections)
	if err != nil {
		return nil, err
	}
	cache, err := c.Cache.Redis(connections)
	if err != nil {
		app.Close()
		return nil, err
	}
	s := &Server{redis: app, cache: cache,
		http: NewHTTP(c.Guard, "Kyu/"+version.Number+" (+https://"+c.Domain+"/)")}
	var stamp []queue.ClientMiddleware
	if db.Replicated() {
		stamp = append(stamp, db.Stamp())
	}
	hosts := NewHosts(s.redis, threads, log)
	s.Notifications = &Notifications{DB: db}
	s.Feeds = &Feeds{DB: db, Redis: s.redis, Client: queue.NewClient(backend, stamp...)}
	actors := NewActors(db, s.cache, c.Domain)
	s.Deliveries = &Deliveries{HTTP: s.http, Hosts: hosts, Actors: actors,
		Availability: NewAvailability(db, s.redis, log), Log: log, DoubleKnock: c.DoubleKnock}
	s.Webhooks = &Webhooks{DB: db, HTTP: s.http, Hosts: hosts, Log: log}
	s.Mail = &Mail{Config: c.Mail, Bulk: c.Bulk, Err: c.MailErr, Log: log}
	s.Resources = &Resources{DB: db, HTTP: s.http, Log: log}
	if c.SignFetches {
		s.Resources.Actors = actors
	}
	s.Previews = &Previews{DB: db, Redis: s.redis, Cache: s.cache, HTTP: s.http, Log: log}
	return s, nil
}

// Close closes the connections. Call it after the last job has returned.
func (s *Server) Close() {
	s.http.Close()
	s.redis.Close()
	s.cache.Close()
}

// Ping returns an error if the Redis of the jobs or the cache does not answer.
func (s *Server) Ping(ctx context.Context) error {
	if err := s.redis.Ping(ctx).Err(); err != nil {
		return err
	}
	return s.cache.Ping(ctx).Err()
}
