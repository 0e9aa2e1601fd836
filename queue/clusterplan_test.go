package queue

import (
	"strings"
	"testing"

	"github.com/kyujobs/kyu/internal/redisdb"
)

func TestPlanShards(t *testing.T) {
	master := func(addr string) []redisdb.ClusterNode { return []redisdb.ClusterNode{{Addr: addr}} }
	ranges := []redisdb.SlotRange{{First: 0, Last: 5460, Nodes: master("a:1")},
		{First: 5461, Last: 10922, Nodes: master("b:1")},
		{First: 10923, Last: 16383, Nodes: master("c:1")}}
	t.Run("spreads the shards over the masters", func(t *testing.T) {
		list, err := planShards(ranges, 7)
		if err != nil {
			t.Fatal(err)
		}
		on, tags := map[string]int{}, map[string]bool{}
		for _, p := range list {
			owner := ""
			for _, r := range ranges {
				if slot := redisdb.SlotOf(p.Tag); r.First <= slot && slot <= r.Last {
					owner = r.Nodes[0].Addr
				}
			}
			if owner != p.Master {
				t.Errorf("%+v is on %s", p, owner)
			}
			on[owner]++
			tags[p.Tag] = true
		}
		if on["a:1"]+on["b:1"]+on["c:1"] != 7 || min(on["a:1"], on["b:1"], on["c:1"]) != 2 ||
			len(tags) != 7 {
			t.Errorf("%v with the tags %v, want 7 tags, 2 or 3 on each master", on, tags)
		}
	})
	t.Run("says that no master has slots", func(t *testing.T) {
		if _, err := planShards(nil, 1); err == nil || !strings.Contains(err.Error(), "assign") {
			t.Errorf("%v, want the remedy", err)
		}
	})
	for raw, want := range map[string]string{
		"redis://u:p@a:1/3":                  "redis+cluster://u:p@a:1/?tag=x",
		"rediss://a":                         "rediss+cluster://a/?tag=x",
		"redis+cluster://a:1,b:2":            "redis+cluster://a:1,b:2/?tag=x",
		"rediss+cluster://a,b/?tag=y":        "rediss+cluster://a,b/?tag=x",
		"unix:///path":                       "",
		"redis+cluster://u:p@w,x@a,b/?tag=y": "redis+cluster://u:p%40w,x@a,b/?tag=x",
	} {
		t.Run("makes of "+raw, func(t *testing.T) {
			if got, err := withTag(raw, "x"); got != want || (err == nil) != (want != "") {
				t.Errorf("%s, %v, want %s", got, err, want)
			}
		})
	}
}
