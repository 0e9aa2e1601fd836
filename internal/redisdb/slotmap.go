package redisdb

import (
	"cmp"
	"errors"
	"net"
	"strconv"
	"strings"
)

// Slots is how many slots a Redis Cluster has.
const Slots = 16384

// SlotOf returns the slot of the keys whose part in braces is tag: CRC16 (XMODEM) modulo Slots.
func SlotOf(tag string) int {
	var crc uint16
	for _, b := range []byte(tag) {
		crc ^= uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % Slots
}

// SlotRange is a range of slots, and the nodes that have them.
type SlotRange struct {
	First, Last int
	Nodes       []ClusterNode // the master first
}

// ClusterNode is a node of a Redis Cluster.
type ClusterNode struct {
	Addr     string // host:port under which it is called: its hostname, if it has one
	Endpoint string // host:port by which the nodes name it in MOVED; the host may be empty
}

// errSlotReply is the error of a reply to CLUSTER SLOTS that is not understood.
var errSlotReply = errors.New("the reply to CLUSTER SLOTS is not understood")

// readSlots decodes a reply to CLUSTER SLOTS. asked is the host of the node that sent it: a node
// without an address of its own in the reply is at that host.
func readSlots(reply []any, asked string) ([]SlotRange, error) {
	var list []SlotRange
	for _, v := range reply {
		fields, _ := v.([]any)
		if len(fields) < 3 {
			return nil, errSlotReply
		}
		first, ok1 := fields[0].(int64)
		last, ok2 := fields[1].(int64)
		if !ok1 || !ok2 || first < 0 || last >= Slots || first > last {
			return nil, errSlotReply
		}
		r := SlotRange{First: int(first), Last: int(last)}
		for _, n := range fields[2:] {
			node, err := readNode(n, asked)
			if err != nil {
				return nil, err
			}
			r.Nodes = append(r.Nodes, node)
		}
		list = append(list, r)
	}
	return list, nil
}

// readNode decodes a node: its endpoint, its port, its id, and pairs of further names.
func readNode(v any, asked string) (n ClusterNode, err error) {
	fields, _ := v.([]any)
	if len(fields) < 2 {
		return n, errSlotReply
	}
	host, _ := fields[0].(string) // nil: the host that was asked
	port, ok := fields[1].(int64)
	if !ok || port < 1 || port > 65535 {
		return n, errSlotReply
	}
	if host == "?" { // a node whose hostname is not known yet
		host = ""
	}
	at := strconv.FormatInt(port, 10)
	name := host
	if len(fields) > 3 {
		name = cmp.Or(hostname(fields[3]), host)
	}
	n.Endpoint = net.JoinHostPort(host, at)
	n.Addr = net.JoinHostPort(cmp.Or(name, asked), at)
	return n, nil
}

// hostname returns the hostname among the further names of a node, or "".
func hostname(v any) string {
	pairs, _ := v.([]any)
	for i := 0; i+1 < len(pairs); i += 2 {
		if key, _ := pairs[i].(string); strings.EqualFold(key, "hostname") {
			name, _ := pairs[i+1].(string)
			return name
		}
	}
	return ""
}

// ownerOf returns the master of a slot.
func ownerOf(list []SlotRange, slot int) (ClusterNode, bool) {
	for _, r := range list {
		if r.First <= slot && slot <= r.Last && len(r.Nodes) > 0 {
			return r.Nodes[0], true
		}
	}
	return ClusterNode{}, false
}
