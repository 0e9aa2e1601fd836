package access

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/maphash"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"
)

const (
	maxCost     = 15
	minPassword = 8  // characters
	maxPassword = 72 // bytes: bcrypt ignores those behind them
)

// The costs of hashes: of HashLine, which is about a quarter of a second for each try, and the
// least of a users file. Tests, which check many passwords, lower them.
var hashCost, minCost = 12, 10

// HashLine returns a line of a users file, without a newline. The password has at least 8
// characters and at most 72 bytes.
func HashLine(name string, role Role, password string) (string, error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	if _, err := ParseRole(role.String()); err != nil {
		return "", err
	}
	if utf8.RuneCountInString(password) < minPassword || len(password) > maxPassword {
		return "", fmt.Errorf("the password has less than %d characters or more than %d bytes",
			minPassword, maxPassword)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), hashCost)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s:%s:%s", name, role, hash), nil
}

// user is a person who signs in with a password.
type user struct {
	Person
	hash string
	mark string // changes with the role and the password
}

// users are all users of a file.
type users struct {
	byName map[string]user
	costs  []int // of the hashes, each once
	seed   maphash.Seed
}

var bcryptHash = regexp.MustCompile(`^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$`)

// hashCostOf returns the cost of a bcrypt hash.
func hashCostOf(hash string) (int, error) {
	m := bcryptHash.FindStringSubmatch(hash)
	if m == nil {
		return 0, errors.New("the hash is not of bcrypt, which begins with $2a$, $2b$ or $2y$")
	}
	cost, _ := strconv.Atoi(m[1]) // two digits
	if cost < minCost || cost > maxCost {
		return 0, fmt.Errorf("the hash has cost %d, not %d to %d", cost, minCost, maxCost)
	}
	return cost, nil
}

func parseUsers(path, text string) (*users, error) {
	entries, err := parseEntries(path, text, func(secret string) error {
		_, err := hashCostOf(secret)
		return err
	})
	if err != nil {
		return nil, err
	}
	us := &users{byName: map[string]user{}, seed: maphash.MakeSeed()}
	for _, e := range entries {
		sum := sha256.Sum256([]byte(e.Role.String() + ":" + e.secret))
		us.byName[e.Name] = user{e.Person, e.secret, base64.RawURLEncoding.EncodeToString(sum[:16])}
		if cost, _ := hashCostOf(e.secret); !slices.Contains(us.costs, cost) {
			us.costs = append(us.costs, cost)
		}
	}
	return us, nil
}

// check returns the user of that name if the password is right. It takes the same time for a name
// that does not exist.
func (us *users) check(name, password string) (user, bool) {
	u, known := us.byName[name]
	hash := u.hash
	if !known {
		hash = us.unknown(name)
	}
	fits := len(password) <= maxPassword
	if !fits {
		password = password[:maxPassword]
	}
	err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password))
	return u, err == nil && known && fits
}

// unknown returns a hash for a name that does not exist. If the hashes of the file have several
// costs, so have the hashes of unknown names, always the same for a name.
func (us *users) unknown(name string) string {
	cost := us.costs[maphash.String(us.seed, name)%uint64(len(us.costs))]
	return fmt.Sprintf("$2a$%02d$%s", cost, strings.Repeat("a", 53))
}
