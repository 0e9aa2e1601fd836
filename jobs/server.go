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

// Config is what the jobs need beside Postgres and the queue.
type Config struct {
	Redis, Cache queue.Config // of feeds, failures and locks; of what may be lost
	Guard        *guard.Guard
	Mail, Bulk   MailConfig
	Domain       string // in the URLs of local accounts
	DoubleKnock  bool
}

// ConfigFromEnv reads the variables that Mastodon uses: REDIS_* and CACHE_REDIS_*,
// LOCAL_DOMAIN and WEB_DOMAIN, ALLOWED_PRIVATE_ADDRESSES, SMTP_* and BULK_SMTP_*; and
// DOUBLE_KNOCK. Problems go to r.
func ConfigFromEnv(r *env.Reader) Config {
	local := r.String("local domain", "localhost", "LOCAL_DOMAIN")
	return Config{
		Redis:       queue.RedisFromEnv(r, "app redis", ""),
		Cache:       queue.RedisFromEnv(r, "cache redis", "CACHE_"),
		Guard:       guard.FromEnv(r),
		Mail:        MailFromEnv(r, "", local),
		Bulk:        MailFromEnv(r, "BULK_", local),
		Domain:      r.String("web domain", local, "WEB_DOMAIN"),
		DoubleKnock: r.Bool("double knock", false, "DOUBLE_KNOCK"),
	}
}

// Server is all that the four queues of a Mastodon-like server do, over the same
// connections.
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

// NewServer makes the jobs of a worker with so many threads; with 0 other servers'
// hosts are neither limited nor left alone when they fail. Nothing is connected before
// it is used; Close gives it back. The error says which address of a Redis is wrong.
func NewServer(c Config, db *database.Database, store *queue.Store, threads int,
	log *slog.Logger) (*Server, error) {
	connections := max(threads, 10) // one for every thread
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
	s.Feeds = &Feeds{DB: db, Redis: s.redis, Client: queue.NewClient(store, stamp...)}
	s.Deliveries = &Deliveries{HTTP: s.http, Hosts: hosts, Actors: NewActors(db, s.cache, c.Domain),
		Availability: NewAvailability(db, s.redis, log), Log: log, DoubleKnock: c.DoubleKnock}
	s.Webhooks = &Webhooks{DB: db, HTTP: s.http, Hosts: hosts, Log: log}
	s.Mail = &Mail{Config: c.Mail, Bulk: c.Bulk, Log: log}
	s.Resources = &Resources{DB: db, HTTP: s.http, Log: log}
	s.Previews = &Previews{DB: db, Redis: s.redis, Cache: s.cache, HTTP: s.http, Log: log}
	return s, nil
}

// Close gives the connections back.
func (s *Server) Close() {
	s.http.Close()
	s.redis.Close()
	s.cache.Close()
}

// Ping asks both Redis servers for a sign of life.
func (s *Server) Ping(ctx context.Context) error {
	if err := s.redis.Ping(ctx).Err(); err != nil {
		return err
	}
	return s.cache.Ping(ctx).Err()
}
