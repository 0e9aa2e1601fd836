package access

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// shippedHash and shippedMin are the costs before TestMain lowers them.
var shippedHash, shippedMin = hashCost, minCost

func TestHashLine(t *testing.T) {
	t.Run("is a line of a users file, of cost 12", func(t *testing.T) {
		line, err := HashLine("alice", Operator, password)
		if err != nil {
			t.Fatal(err)
		}
		us, err := parseUsers("F", line+"\n")
		if err != nil {
			t.Fatal(err)
		}
		u, right := us.check("alice", password)
		if cost, _ := hashCostOf(u.hash); !right || u.Person != (Person{"alice", Operator}) ||
			cost != hashCost {
			t.Errorf("the line %q is user %v, %v, of cost %d", line, u.Person, right, cost)
		}
		if shippedHash != 12 {
			t.Errorf("outside tests the cost is %d", shippedHash)
		}
	})
	t.Run("refuses what the file cannot hold", func(t *testing.T) {
		for _, c := range []struct {
			name     string
			role     Role
			password string
		}{{"a:b", Admin, password}, {"a", Nobody, password}, {"a", 9, password},
			{"a", Admin, "1234567"}, {"a", Admin, strings.Repeat("x", 73)}} {
			if line, err := HashLine(c.name, c.role, c.password); err == nil || line != "" {
				t.Errorf("%q, %v, %q makes %q", c.name, c.role, c.password, line)
			}
		}
	})
}

func TestUsers(t *testing.T) {
	us, err := parseUsers("F", userLine("alice", Admin)+userLine("bob", Viewer))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("are known by name and password", func(t *testing.T) {
		for _, c := range []struct {
			name, password string
			right          bool
		}{{"alice", password, true}, {"alice", "wrong", false}, {"alice", "", false},
			{"Alice", password, false}, {"", "", false}, {"nobody", password, false}} {
			if u, right := us.check(c.name, c.password); right != c.right ||
				right && u.Name != c.name {
				t.Errorf("%q with %q: %v, %v", c.name, c.password, u.Name, right)
			}
		}
	})
	t.Run("have no passwords beyond what bcrypt reads", func(t *testing.T) {
		long := strings.Repeat("x", maxPassword)
		hash, _ := bcrypt.GenerateFromPassword([]byte(long), minCost)
		us, err := parseUsers("F", "long:admin:"+string(hash))
		if err != nil {
			t.Fatal(err)
		}
		if _, right := us.check("long", long); !right {
			t.Error("72 bytes are wrong")
		}
		if _, right := us.check("long", long+"y"); right {
			t.Error("73 bytes, of which 72 are right, are right")
		}
	})
	t.Run("take the same work if a name is unknown", func(t *testing.T) {
		hash := us.unknown("nobody")
		err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password))
		if cost, _ := hashCostOf(hash); cost != minCost ||
			!errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) { // after the work is done
			t.Errorf("the hash %q has cost %d: %v", hash, cost, err)
		}
	})
	t.Run("have the costs of the file if a name is unknown, always the same", func(t *testing.T) {
		us := &users{costs: []int{10, 12}, seed: us.seed}
		seen := map[int]bool{}
		for _, name := range strings.Split("a b c d e f g h i j k l m n o p q r s t u v w x", " ") {
			cost, err := hashCostOf(us.unknown(name))
			if again, _ := hashCostOf(us.unknown(name)); err != nil || again != cost {
				t.Errorf("%s has cost %d, then %d: %v", name, cost, again, err)
			}
			seen[cost] = true
		}
		if !seen[10] || !seen[12] || len(seen) != 2 {
			t.Errorf("the costs are %v", seen)
		}
	})
	t.Run("have another mark with another role or password", func(t *testing.T) {
		other, err := parseUsers("F", userLine("alice", Viewer)+"bob:viewer:$2y$10$"+
			strings.Repeat("b", 53))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"alice", "bob"} {
			if us.byName[name].mark == other.byName[name].mark {
				t.Errorf("%s has the same mark", name)
			}
		}
	})
	t.Run("have hashes of bcrypt, neither cheap nor dear", func(t *testing.T) {
		defer func(least int) { minCost = least }(minCost)
		minCost = shippedMin
		rest := strings.Repeat("a", 53)
		for hash, fits := range map[string]bool{"$2a$10$" + rest: true, "$2y$15$" + rest: true,
			"$2b$12$" + rest: true, "$2a$09$" + rest: false, "$2a$16$" + rest: false,
			"$2a$10$" + rest + "a": false, "$2a$10$" + rest[1:]: false, "$1$abc": false,
			"plain": false, "": false, "$2a$10$" + rest[1:] + "!": false} {
			if _, err := parseUsers("F", "a:admin:"+hash); (err == nil) != fits {
				t.Errorf("%q: %v", hash, err)
			}
		}
	})
}

func FuzzUsers(f *testing.F) {
	f.Add("alice:admin:$2a$10$" + strings.Repeat("a", 53) + "\n# x\n\r\nb:c:d\n")
	f.Add("::\n\x00:\xff:$")
	f.Fuzz(func(t *testing.T, text string) {
		us, err := parseUsers("F", text)
		if err != nil {
			for line := range strings.Lines(text) {
				_, secret, _ := strings.Cut(strings.TrimSpace(line), ":")
				if len(secret) > 60 && strings.Contains(err.Error(), secret) {
					t.Errorf("the error repeats %q", secret)
				}
			}
			return
		}
		if len(us.byName) == 0 || len(us.costs) == 0 {
			t.Error("it names nobody")
		}
		for name, u := range us.byName {
			if name != u.Name || checkName(name) != nil || u.Role < Viewer || u.Role > Admin ||
				u.mark == "" {
				t.Errorf("%q is user %v", name, u)
			}
		}
	})
}
