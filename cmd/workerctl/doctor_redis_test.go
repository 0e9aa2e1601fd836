package main

import (
	"testing"

	"github.com/kyujobs/kyu/internal/redisdb"
)

func TestDoctorRedis(t *testing.T) {
	for _, x := range []struct {
		name                string
		look                func(*examination, redisdb.ServerInfo)
		info                redisdb.ServerInfo
		level, text, remedy string
	}{
		{"may not evict", (*examination).eviction, redisdb.ServerInfo{Policy: "allkeys-lru"},
			wrong, "it evicts (allkeys-lru)", "noeviction"},
		{"does not evict", (*examination).eviction, redisdb.ServerInfo{Policy: "noeviction"},
			good, "it does not evict", ""},
		{"hides its policy", (*examination).eviction, redisdb.ServerInfo{}, warning,
			"does not say its eviction policy", "check"},
		{"failed to write", (*examination).persistence,
			redisdb.ServerInfo{AOF: true, AOFFailed: true}, wrong, "last write", "disk"},
		{"writes a file", (*examination).persistence, redisdb.ServerInfo{AOF: true}, good,
			"append-only", ""},
		{"keeps nothing", (*examination).persistence, redisdb.ServerInfo{}, wrong,
			"nothing on disk", "appendonly yes"},
		{"makes snapshots", (*examination).persistence, redisdb.ServerInfo{Snapshots: "3600 1"},
			warning, "save 3600 1", "appendonly yes"},
		{"is nearly full", (*examination).memory,
			redisdb.ServerInfo{UsedMemory: 95 << 20, MaxMemory: 100 << 20}, wrong,
			"95 MB, 95 % of maxmemory: it will soon refuse pushes", "more memory"},
		{"fills up", (*examination).memory,
			redisdb.ServerInfo{UsedMemory: 70 << 20, SystemMemory: 100 << 20}, warning,
			"70 % of the machine's memory", "before it is full"},
		{"has room", (*examination).memory,
			redisdb.ServerInfo{UsedMemory: 1 << 20, MaxMemory: 100 << 20}, good, "1 %", ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			e, _ := examine(nil)
			x.look(e, x.info)
			e.only(t, x.level, x.text, x.remedy)
		})
	}
}

func TestDoctorCachePolicy(t *testing.T) {
	for name, x := range map[string]struct {
		info                redisdb.ServerInfo
		level, text, remedy string
	}{
		"evicts": {redisdb.ServerInfo{MaxMemory: 1, Policy: "allkeys-lru"}, good, "evicts", ""},
		"refuses writes when it is full": {redisdb.ServerInfo{MaxMemory: 1, Policy: "noeviction"},
			warning, "refuses writes", "allkeys-lru"},
		"grows without a limit": {redisdb.ServerInfo{Policy: "allkeys-lru"}, warning,
			"no limit of memory", "set maxmemory"},
	} {
		t.Run(name, func(t *testing.T) {
			e, _ := examine(nil)
			e.cachePolicy(x.info)
			e.only(t, x.level, x.text, x.remedy)
		})
	}
}
