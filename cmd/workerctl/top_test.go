package main

import "testing"

func TestTop(t *testing.T) {
	t.Run("without a terminal names a command that needs none", func(t *testing.T) {
		withoutRedis(t).fails(1, "`workerctl queues --watch`", "top")
	})
	t.Run("refuses wrong calls before", func(t *testing.T) {
		withoutRedis(t).fails(2, "want seconds from 0.5", "top --every 0")
		withoutRedis(t).fails(2, "it takes no arguments", "top queues")
		s := &terminal{T: t, vars: map[string]string{"REDIS_URL": "what://"}}
		s.fails(2, "the Redis URL what: is not understood", "top")
	})
}
