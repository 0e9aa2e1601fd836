package dashboard

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"
	"unicode/utf8"
)

const flashCookie = "kyu_flash"

// maxFlash is the most bytes of a line: browsers keep 4 KB of a cookie.
const maxFlash = 1000

// flash is a line that the next page shows: what was done, or why it was not.
type flash struct {
	Text string
	Bad  bool
}

// outcome is what an act has done, and where to go on.
type outcome struct {
	flash
	to string // a path of the dashboard, with its base
}

// redirect answers an act: the next page shows its outcome. A reload of it does nothing again.
func (q *request) redirect(done *outcome) {
	for len(done.Text) > maxFlash {
		_, last := utf8.DecodeLastRuneInString(done.Text)
		done.Text = done.Text[:len(done.Text)-last]
	}
	b, err := json.Marshal(done.flash)
	if err == nil {
		q.setCookie(flashCookie, base64.RawURLEncoding.EncodeToString(b), time.Minute)
	}
	http.Redirect(q.w, q.Request, done.to, http.StatusSeeOther)
}

// takeFlash returns the line of the act before, once.
func (q *request) takeFlash() *flash {
	c, err := q.Cookie(flashCookie)
	if err != nil {
		return nil
	}
	q.setCookie(flashCookie, "", -1)
	b, err := base64.RawURLEncoding.DecodeString(c.Value)
	f := &flash{}
	if err != nil || json.Unmarshal(b, f) != nil || f.Text == "" {
		return nil
	}
	return f
}

// setCookie sets a cookie of the dashboard. A negative age removes it.
func (q *request) setCookie(name, value string, age time.Duration) {
	setCookie(q.w, q.Request, q.d.Base, name, value, age)
}

func setCookie(w http.ResponseWriter, r *http.Request, base, name, value string,
	age time.Duration) {
	seconds := int(age.Seconds())
	if age < 0 {
		seconds = -1
	}
	http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: base + "/", MaxAge: seconds,
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode})
}
