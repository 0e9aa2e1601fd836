package inspect

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/redis/go-redis/v9"
)

// Server describes the Redis server of the queues.
type Server struct {
	Addr       string           `json:"address"`
	Version    string           `json:"version"`
	Role       string           `json:"role"` // master or slave, as Redis calls it
	Replicas   int64            `json:"replicas"`
	Uptime     float64          `json:"uptime_seconds"`
	RTT        float64          `json:"round_trip_seconds"` // of a PING
	Keys       int64            `json:"keys"`               // of its database
	Clients    ServerClients    `json:"clients"`
	Memory     ServerMemory     `json:"memory"`
	PerSecond  int64            `json:"commands_per_second"`
	Commands   []ServerCommand  `json:"commands"` // those that took the most time first
	Spikes     []ServerSpike    `json:"latency"`  // what took long, of LATENCY LATEST
	SpikesFrom int64            `json:"latency_threshold_ms"`
	Slow       []ServerSlowCall `json:"slow"`    // the last slow calls, the latest first
	Refused    []string         `json:"refused"` // what the user may not ask, with Redis's answer
}

// ServerClients are the connections to the server.
type ServerClients struct {
	Connected int64 `json:"connected"`
	Blocked   int64 `json:"blocked"` // doorbells among them
	Most      int64 `json:"most"`    // maxclients
	Rejected  int64 `json:"rejected"`
}

// ServerMemory is the memory of the server in bytes.
type ServerMemory struct {
	Used          int64   `json:"used"`
	Peak          int64   `json:"peak"`
	Most          int64   `json:"most"`          // maxmemory; 0: no limit
	Resident      int64   `json:"resident"`      // that the system has given it
	Fragmentation float64 `json:"fragmentation"` // Resident by Used
	Policy        string  `json:"policy"`
	Evicted       int64   `json:"evicted_keys"`
}

// ServerCommand is a command that the server knows, since it was started.
type ServerCommand struct {
	Name   string  `json:"name"`
	Calls  int64   `json:"calls"`
	Micros float64 `json:"micros_per_call"`
	Share  float64 `json:"share_of_time"` // of all commands' time, from 0 to 1
	Failed int64   `json:"failed_calls"`
}

// ServerSpike is an event that took long.
type ServerSpike struct {
	Event string    `json:"event"`
	At    time.Time `json:"at"` // the last time
	Last  int64     `json:"last_ms"`
	Worst int64     `json:"worst_ms"`
}

// ServerSlowCall is a call that took long. Its words are the command and its keys; payloads are
// left out.
type ServerSlowCall struct {
	At     time.Time `json:"at"`
	Micros int64     `json:"micros"`
	Words  []string  `json:"words"`
	Client string    `json:"client"` // its name, else its address
}

const (
	shownCommands = 20
	shownSlow     = 50
)

// Server asks the server how it is. What the user of the Store may not ask is in Refused.
func (in *Inspector) Server(ctx context.Context) (*Server, error) {
	s := &Server{Addr: in.db.Addr, Commands: []ServerCommand{}, Spikes: []ServerSpike{},
		Slow: []ServerSlowCall{}, Refused: []string{}}
	start := time.Now()
	if err := in.rdb.Ping(ctx).Err(); err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	s.RTT = time.Since(start).Seconds()
	for _, ask := range []struct {
		command string
		read    func(context.Context, *redis.Client) error
	}{{"INFO", s.readInfo}, {"DBSIZE", s.readSize}, {"LATENCY LATEST", s.readSpikes},
		{"SLOWLOG GET", s.readSlow}} {
		err := ask.read(ctx, in.rdb)
		switch {
		case err == nil:
		case !redisdb.Answered(err):
			return nil, fmt.Errorf("redis: %w", err)
		default:
			s.Refused = append(s.Refused, ask.command+": "+err.Error())
		}
	}
	return s, nil
}

func (s *Server) readInfo(ctx context.Context, rdb *redis.Client) error {
	text, err := rdb.Info(ctx, "default").Result()
	if err != nil {
		return err
	}
	stats, err := rdb.Info(ctx, "commandstats").Result()
	s.parseInfo(text + "\n" + stats)
	return err
}

// parseInfo reads the lines of INFO.
func (s *Server) parseInfo(text string) {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	n := func(name string) int64 { n, _ := strconv.ParseInt(fields[name], 10, 64); return n }
	s.Version = cmp.Or(fields["valkey_version"], fields["redis_version"])
	s.Role, s.Replicas = fields["role"], n("connected_slaves")
	s.Uptime, s.PerSecond = float64(n("uptime_in_seconds")), n("instantaneous_ops_per_sec")
	s.Clients = ServerClients{n("connected_clients"), n("blocked_clients"), n("maxclients"),
		n("rejected_connections")}
	s.Memory = ServerMemory{Used: n("used_memory"), Peak: n("used_memory_peak"),
		Most: n("maxmemory"), Resident: n("used_memory_rss"),
		Policy: fields["maxmemory_policy"], Evicted: n("evicted_keys")}
	s.Memory.Fragmentation, _ = strconv.ParseFloat(fields["mem_fragmentation_ratio"], 64)
	var sum float64
	for name, value := range fields {
		if command, ok := strings.CutPrefix(name, "cmdstat_"); ok {
			c := newServerCommand(command, value)
			sum += c.Share
			s.Commands = append(s.Commands, c)
		}
	}
	slices.SortFunc(s.Commands, func(a, b ServerCommand) int {
		return cmp.Or(cmp.Compare(b.Share, a.Share), cmp.Compare(a.Name, b.Name))
	})
	for i := range s.Commands {
		s.Commands[i].Share /= max(sum, 1)
	}
	s.Commands = s.Commands[:min(len(s.Commands), shownCommands)]
}

// newServerCommand reads calls=1,usec=2,usec_per_call=2.00,rejected_calls=0,failed_calls=0. The
// Share is in microseconds.
func newServerCommand(name, value string) ServerCommand {
	c := ServerCommand{Name: name}
	for part := range strings.SplitSeq(value, ",") {
		key, text, _ := strings.Cut(part, "=")
		n, _ := strconv.ParseFloat(text, 64)
		switch key {
		case "calls":
			c.Calls = int64(n)
		case "usec":
			c.Share = n
		case "usec_per_call":
			c.Micros = n
		case "failed_calls", "rejected_calls":
			c.Failed += int64(n)
		}
	}
	return c
}

func (s *Server) readSize(ctx context.Context, rdb *redis.Client) (err error) {
	s.Keys, err = rdb.DBSize(ctx).Result()
	return err
}

func (s *Server) readSpikes(ctx context.Context, rdb *redis.Client) error {
	rows, err := rdb.Do(ctx, "LATENCY", "LATEST").Slice()
	if err != nil {
		return err
	}
	for _, row := range rows {
		r, _ := row.([]any)
		if len(r) < 4 {
			continue
		}
		n := func(i int) int64 { n, _ := r[i].(int64); return n }
		s.Spikes = append(s.Spikes, ServerSpike{fmt.Sprint(r[0]), time.Unix(n(1), 0), n(2), n(3)})
	}
	limit, err := rdb.ConfigGet(ctx, "latency-monitor-threshold").Result()
	s.SpikesFrom, _ = strconv.ParseInt(limit["latency-monitor-threshold"], 10, 64)
	return err
}

func (s *Server) readSlow(ctx context.Context, rdb *redis.Client) error {
	calls, err := rdb.SlowLogGet(ctx, shownSlow).Result()
	for _, c := range calls {
		s.Slow = append(s.Slow, ServerSlowCall{c.Time, c.Duration.Microseconds(),
			slowWords(c.Args), cmp.Or(c.ClientName, c.ClientAddr)})
	}
	return err
}

// The first words of a slow call, and how long each may be. A longer one is a payload.
const (
	shownWords   = 6
	longestWord  = 80
	payloadFirst = "{["
)

// slowWords are the command and the names of keys. Payloads, which may hold secrets, are replaced
// by their sizes.
func slowWords(args []string) (words []string) {
	for i, arg := range args {
		switch {
		case i == shownWords:
			return append(words, fmt.Sprintf("(%d more)", len(args)-i))
		case len(arg) > longestWord, arg != "" && strings.Contains(payloadFirst, arg[:1]):
			arg = fmt.Sprintf("(%d bytes)", len(arg))
		}
		words = append(words, arg)
	}
	return words
}
