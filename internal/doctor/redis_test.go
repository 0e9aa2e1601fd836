package doctor

import (
	"testing"

	"github.com/kyujobs/kyu/internal/redisdb"
)

func TestDoctorRedis(t *testing.T) {
	for _, x := range []struct {
		name                string
		look                func(*Examination, redisdb.ServerInfo)
		info                redisdb.ServerInfo
		level, text, remedy string
	}{
		{"may not evict", (*Examination).eviction, redisdb.ServerInfo{Policy: "allkeys-lru"},
			Wrong, "it evicts (allkeys-lru)", "noeviction"},
		{"does not evict", (*Examination).eviction, redisdb.ServerInfo{Policy: "noeviction"},
			Good, "it does not evict", ""},
		{"hides its policy", (*Examination).eviction, redisdb.ServerInfo{}, Warning,
			"does not say its eviction policy", "check"},
		{"failed to write", (*Examination).persistence,
			redisdb.ServerInfo{AOF: true, AOFFailed: true}, Wrong, "last write", "disk"},
		{"writes a file", (*Examination).persistence, redisdb.ServerInfo{AOF: true}, Good,
			"append-only", ""},
		{"keeps nothing", (*Examination).persistence, redisdb.ServerInfo{}, Wrong,
			"nothing on disk", "appendonly yes"},
		{"makes snapshots", (*Examination).persistence, redisdb.ServerInfo{Snapshots: "3600 1"},
			Warning, "save 3600 1", "appendonly yes"},
		{"is nearly full", (*Examination).memory,
			redisdb.ServerInfo{UsedMemory: 95 << 20, MaxMemory: 100 << 20}, Wrong,
			"95 MB, 95 % of maxmemory: it will soon refuse pushes", "more memory"},
		{"fills up", (*Examination).memory,
			redisdb.ServerInfo{UsedMemory: 70 << 20, SystemMemory: 100 << 20}, Warning,
			"70 % of the machine's memory", "before it is full"},
		{"has room", (*Examination).memory,
			redisdb.ServerInfo{UsedMemory: 1 << 20, MaxMemory: 100 << 20}, Good, "1 %", ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			e := &Examination{}
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
		"evicts": {redisdb.ServerInfo{MaxMemory: 1, Policy: "allkeys-lru"}, Good, "evicts", ""},
		"refuses writes when it is full": {redisdb.ServerInfo{MaxMemory: 1, Policy: "noeviction"},
			Warning, "refuses writes", "allkeys-lru"},
		"grows without a limit": {redisdb.ServerInfo{Policy: "allkeys-lru"}, Warning,
			"no limit of memory", "set maxmemory"},
	} {
		t.Run(name, func(t *testing.T) {
			e := &Examination{}
			e.cachePolicy(x.info)
			e.only(t, x.level, x.text, x.remedy)
		})
	}
}
