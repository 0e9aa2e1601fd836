package redisdb

import (
	"strings"
	"testing"
)

func TestSlotOf(t *testing.T) {
	// CLUSTER KEYSLOT of Redis 7.0
	for tag, want := range map[string]int{"123456789": 12739, "foo": 12182, "": 0} {
		if got := SlotOf(tag); got != want {
			t.Errorf("the slot of %q is %d, want %d", tag, got, want)
		}
	}
}

func node(host any, port int64, more ...any) []any {
	return append([]any{host, port, "id"}, more...)
}

func TestReadSlots(t *testing.T) {
	for name, x := range map[string]struct {
		node           []any
		addr, endpoint string
	}{
		"an address":                 {node("10.0.0.1", 7000), "10.0.0.1:7000", "10.0.0.1:7000"},
		"an IPv6 address":            {node("::1", 7000), "[::1]:7000", "[::1]:7000"},
		"no address: the asked host": {node(nil, 7000), "asked:7000", ":7000"},
		"an empty address":           {node("", 7000), "asked:7000", ":7000"},
		"a hostname not known yet":   {node("?", 7000), "asked:7000", ":7000"},
		"a hostname beside": {node("10.0.0.1", 7000, []any{"hostname", "n1.example"}),
			"n1.example:7000", "10.0.0.1:7000"},
		"an empty hostname beside": {node("10.0.0.1", 7000, []any{"hostname", ""}),
			"10.0.0.1:7000", "10.0.0.1:7000"},
	} {
		t.Run("takes "+name, func(t *testing.T) {
			list, err := readSlots([]any{[]any{int64(0), int64(100), x.node}}, "asked")
			owner, ok := ownerOf(list, 100)
			if err != nil || !ok || owner.Addr != x.addr || owner.Endpoint != x.endpoint {
				t.Errorf("%+v, %v, want %s and %s", owner, err, x.addr, x.endpoint)
			}
			if _, ok := ownerOf(list, 101); ok {
				t.Error("the slot behind the range has an owner")
			}
		})
	}
	for name, reply := range map[string][]any{
		"a text":        {"x"},
		"no node":       {[]any{int64(0), int64(1)}},
		"a wrong slot":  {[]any{int64(0), int64(Slots), node("h", 1)}},
		"a wrong range": {[]any{int64(2), int64(1), node("h", 1)}},
		"a wrong port":  {[]any{int64(0), int64(1), node("h", 0)}},
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			if list, err := readSlots(reply, "asked"); err == nil {
				t.Errorf("%+v, want an error", list)
			}
		})
	}
}

func FuzzReadNode(f *testing.F) {
	f.Add("h", int64(1), "hostname", "n", "asked")
	f.Add("?", int64(70000), "x", "", "")
	f.Fuzz(func(t *testing.T, host string, port int64, key, value, asked string) {
		n, err := readNode([]any{host, port, "id", []any{key, value}}, asked)
		if err == nil && !strings.Contains(n.Addr, ":") {
			t.Errorf("%q has no port", n.Addr)
		}
	})
}
