package main

import (
	"fmt"
	"testing"
)

func TestLimit(t *testing.T) {
	s := withRedis(t)
	for i := range 30 {
		s.store("retry", "A", fmt.Sprint("j", i))
		s.ok("", fmt.Sprint("push A --queue q", i))
	}
	t.Run("says which part of a list is shown", func(t *testing.T) {
		s := s.of(t)
		s.ok("\n1 to 25 of 30\n", "retries")
		s.ok("\n26 to 30 of 30\n", "retries --page 2")
		s.ok("\n9 to 12 of 30\n", "retries --limit 4 --page 3")
		s.ok("\nnone of 30: the list is shorter\n", "retries --page 9")
		s.ok("\n1 to 1 of 1\n", "queue q3")
	})
	t.Run("shows all rows of a list without pages, or those asked for", func(t *testing.T) {
		s := s.of(t)
		s.ok("\nq29 ", "queues")
		s.ok("\n1 to 3 of 30\n", "queues --limit 3")
	})
	t.Run("is at least 1", func(t *testing.T) {
		s.of(t).fails(2, "want at least 1", "queues --limit 0")
		s.of(t).fails(2, "want at least 1", "retries --limit many")
	})
}
