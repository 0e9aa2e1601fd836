package redisdb

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ServerInfo describes a Redis server, by INFO and CONFIG.
type ServerInfo struct {
	Addr         string // as it was configured, for messages
	Version      string
	RunID        string // names the server's process
	Cluster      bool   // it is a node of a Redis Cluster
	Policy       string // maxmemory-policy; empty if not known
	UsedMemory   int64  // bytes
	MaxMemory    int64  // bytes; 0: no limit
	SystemMemory int64  // bytes
	AOF          bool   // the server writes an append-only file
	AOFFailed    bool   // the last write to it failed
	// when the server makes snapshots ("3600 1 300 100"); empty: never; "?": not known,
	// or not asked for (DB.Snapshots)
	Snapshots string
}

// Info reads INFO of the server.
func (db *DB) Info(ctx context.Context) (ServerInfo, error) {
	i, err := Info(ctx, db.Shared)
	i.Addr = db.Addr
	return i, err
}

// Info reads the state of the server of c. The field Addr is empty.
func Info(ctx context.Context, c redis.Cmdable) (ServerInfo, error) {
	fields, err := info(ctx, c)
	if err != nil {
		return ServerInfo{}, err
	}
	number := func(key string) int64 { n, _ := strconv.ParseInt(fields[key], 10, 64); return n }
	return ServerInfo{Version: fields["redis_version"], RunID: fields["run_id"],
		Policy: fields["maxmemory_policy"], UsedMemory: number("used_memory"),
		MaxMemory: number("maxmemory"), SystemMemory: number("total_system_memory"),
		Cluster:   fields["cluster_enabled"] == "1",
		AOF:       fields["aof_enabled"] == "1",
		AOFFailed: fields["aof_last_write_status"] == "err", Snapshots: "?"}, nil
}

// Snapshots asks the server when it makes snapshots (see ServerInfo). The user of docs/redis.md
// may not ask for this, and each refusal is in the server's ACL LOG. So only doctor asks.
func (db *DB) Snapshots(ctx context.Context) string {
	save, err := db.Shared.ConfigGet(ctx, "save").Result()
	if err != nil {
		return "?"
	}
	return save["save"]
}

func info(ctx context.Context, c redis.Cmdable) (map[string]string, error) {
	text, err := c.Info(ctx).Result()
	if err != nil {
		return nil, fmt.Errorf("info: %w", err)
	}
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[key] = value
		}
	}
	return fields, nil
}

func majorVersion(v string) int {
	major, _, _ := strings.Cut(v, ".")
	n, err := strconv.Atoi(major)
	if err != nil {
		return 7 // an old Redis has a version that begins with a number
	}
	return n
}
