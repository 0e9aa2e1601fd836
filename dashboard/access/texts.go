package access

import (
	"net/http"
	"strconv"
	"strings"
)

// text names a text of the catalogue.
type text string

const (
	textTitle     text = "title"
	textRefused   text = "refused"
	textName      text = "name"
	textPassword  text = "password"
	textSignIn    text = "sign-in"
	textWrong     text = "wrong"
	textTooMany   text = "too-many"
	textExposed   text = "exposed"
	textUnknown   text = "unknown"
	textToken     text = "token"
	textBadToken  text = "bad-token"
	textNoHeader  text = "no-header"
	textSpoofed   text = "spoofed"
	textTwice     text = "twice"
	textLongName  text = "long-name"
	textBadRole   text = "bad-role"
	textNoRole    text = "no-role"
	textRemote    text = "remote"
	textHost      text = "host"
	textForwarded text = "forwarded"
	textSite      text = "site"
	textOrigin    text = "origin"
	textFile      text = "file"
	textRevoked   text = "revoked"
	textSignOut   text = "sign-out"

	textSignInAt     text = "sign-in-at"
	textNoFlow       text = "no-flow"
	textProvider     text = "provider"
	textProviderSays text = "provider-says"
	textNoName       text = "no-name"
)

// languages are those of the catalogue. The first is that of readers who know none of them.
var languages = []string{"en", "ja"}

var catalogue = map[string]map[text]string{
	"en": {
		textTitle:    "Kyu",
		textRefused:  "Refused",
		textName:     "Name",
		textPassword: "Password",
		textSignIn:   "Sign in",
		textWrong:    "The name or the password is wrong.",
		textTooMany: "There were too many tries with this name or from this address. The next " +
			"one is possible in %d seconds.",
		textExposed: "The browser reached this page over plain HTTP, so others could read the " +
			"password. Open it by https://, or on this machine by http://localhost.",
		textUnknown: "You are not signed in, so nothing was changed.",
		textToken: "The request names nobody. Send a token in the header Authorization: " +
			"Bearer TOKEN.",
		textBadToken: "Nobody has this token. Make a new one, or correct the header " +
			"Authorization.",
		textNoHeader: "The request has no header %s, which names the person. Open the page " +
			"through the proxy that adds it.",
		textSpoofed: "The request has the header %s, but it comes from %s, which --proxy-from " +
			"does not name. Open the page through the proxy, or add this address to " +
			"--proxy-from.",
		textTwice: "The request has the header %s more than once. The proxy must remove the " +
			"browser's header before it adds its own.",
		textLongName: "The header %s has more than %d bytes.",
		textBadRole:  "The header %s says %q, which is not viewer, operator or admin.",
		textNoRole:   "%q has no role here. An admin can give one.",
		textRemote: "The request comes from %s. Without users, tokens or a proxy, only " +
			"requests of this machine are answered. Say who may with --users, --tokens or " +
			"--proxy-header.",
		textHost: "The header Host is %q. Without users, tokens or a proxy, it must be " +
			"localhost or a loopback address. Open http://localhost, or say who may with " +
			"--users, --tokens or --proxy-header.",
		textForwarded: "The request has the header %s, so a proxy has forwarded it. Without " +
			"users, tokens or a proxy's header, everybody behind the proxy would be an admin. " +
			"Say who may with --users, --tokens or --proxy-header.",
		textSite: "The browser says that another page sent this request: Sec-Fetch-Site is " +
			"%q, and must be same-origin or none. Origin is %q, Host is %q. If that page is " +
			"yours, start the dashboard with --origin and its origin. Nothing was changed.",
		textOrigin: "The headers Origin and Host differ: Origin is %q, Host is %q. Behind a " +
			"proxy, let it pass Host on (nginx: proxy_set_header Host $http_host), or start the " +
			"dashboard with --origin and the address that people open. Nothing was changed.",
		textFile: "The file of users or tokens is wrong, so nobody is let in. The log of " +
			"the dashboard says what to correct.",
		textRevoked: "Redis does not say whether this session has ended. Try again when it " +
			"answers.",
		textSignOut: "You are signed out in this browser. Redis did not answer, so your " +
			"sessions in other browsers last for up to 12 hours.",
		textSignInAt: "Sign in with %s",
		textNoFlow: "This browser has not begun this sign-in, or it took longer than ten " +
			"minutes. Open %s and sign in again.",
		textProvider:     "%s did not confirm the sign-in. The log of the dashboard says why.",
		textProviderSays: "%s refused the sign-in: %s %s",
		textNoName: "The provider does not name you: its ID token has no usable claim %s. An " +
			"admin can choose another one with --oidc-name-claim.",
	},
	"ja": {
		textTitle:    "Kyu",
		textRefused:  "拒否されました",
		textName:     "名前",
		textPassword: "パスワード",
		textSignIn:   "サインイン",
		textWrong:    "名前またはパスワードが正しくありません。",
		textTooMany: "この名前またはこのアドレスからの試行が多すぎます。%d 秒後に再試行できま" +
			"す。",
		textExposed: "このページは暗号化されていない HTTP で開かれたため、パスワードを第三者" +
			"に読まれるおそれがあります。https:// で開くか、このマシンでは http://localhost で開" +
			"いてください。",
		textUnknown: "サインインしていないため、何も変更していません。",
		textToken: "リクエストから利用者がわかりません。ヘッダー Authorization: Bearer " +
			"TOKEN でトークンを送ってください。",
		textBadToken: "このトークンの持ち主はいません。新しいトークンを作るか、ヘッダー " +
			"Authorization を直してください。",
		textNoHeader: "利用者を示すヘッダー %s がありません。それを付けるプロキシを通して開い" +
			"てください。",
		textSpoofed: "リクエストにヘッダー %s がありますが、送信元 %s は --proxy-from に含ま" +
			"れていません。プロキシを通して開くか、このアドレスを --proxy-from に加えてくださ" +
			"い。",
		textTwice: "リクエストにヘッダー %s が複数あります。プロキシは自分のヘッダーを付け" +
			"る前に、ブラウザーのヘッダーを取り除く必要があります。",
		textLongName: "ヘッダー %s が %d バイトを超えています。",
		textBadRole: "ヘッダー %s の値は %q ですが、viewer、operator、admin のどれでもありま" +
			"せん。",
		textNoRole: "%q にはここでの役割がありません。管理者が役割を与えられます。",
		textRemote: "リクエストの送信元は %s です。利用者、トークン、プロキシのどれも設定さ" +
			"れていないため、このマシンからのリクエストにだけ応答します。--users、--tokens また" +
			"は --proxy-header で設定してください。",
		textHost: "ヘッダー Host は %q です。利用者、トークン、プロキシのどれも設定されて" +
			"いないため、localhost かループバックアドレスでなければなりません。http://localhost " +
			"を開くか、--users、--tokens または --proxy-header で設定してください。",
		textForwarded: "ヘッダー %s があるため、プロキシが転送したリクエストです。利用者、トー" +
			"クン、プロキシのヘッダーのどれも設定されていないため、応答するとプロキシの向こうの" +
			"全員が管理者になります。--users、--tokens または --proxy-header で設定してくださ" +
			"い。",
		textSite: "別のページから送られたリクエストだとブラウザーが伝えています。" +
			"Sec-Fetch-Site は %q ですが、same-origin か none でなければなりません。Origin は " +
			"%q、Host は %q です。自分のページであれば、そのオリジンを --origin に指定して起動し" +
			"てください。何も変更していません。",
		textOrigin: "ヘッダー Origin と Host が一致しません。Origin は %q、Host は %q です。" +
			"プロキシがある場合は Host をそのまま渡す（nginx: proxy_set_header Host $http_host）" +
			"か、ブラウザーで開くアドレスを --origin に指定して起動してください。何も変更してい" +
			"ません。",
		textFile: "利用者またはトークンのファイルに誤りがあるため、誰も入れません。直す箇" +
			"所はダッシュボードのログにあります。",
		textRevoked: "このセッションが終了済みかどうかを Redis から確認できません。Redis が応" +
			"答してから再試行してください。",
		textSignOut: "このブラウザーではサインアウトしました。Redis が応答しなかったため、他" +
			"のブラウザーのセッションは最長 12 時間続きます。",
		textSignInAt: "%s でサインイン",
		textNoFlow: "このサインインはこのブラウザーで始められていないか、10 分を超えています。%s " +
			"を開いて、もう一度サインインしてください。",
		textProvider: "%s がサインインを確認しませんでした。理由はダッシュボードのログにありま" +
			"す。",
		textProviderSays: "%s がサインインを拒否しました：%s %s",
		textNoName: "プロバイダーの ID トークンに使えるクレーム %s がないため、利用者がわかりま" +
			"せん。管理者は --oidc-name-claim で別のクレームを選べます。",
	},
}

// languageOf returns the language of the catalogue that the reader likes best.
func languageOf(r *http.Request) string {
	best, most := languages[0], 0.0
	for item := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, rest, _ := strings.Cut(strings.TrimSpace(item), ";")
		weight := 1.0
		if q, ok := strings.CutPrefix(strings.TrimSpace(rest), "q="); ok {
			weight, _ = strconv.ParseFloat(q, 64) // 0 if it is no number
		}
		primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
		if _, known := catalogue[primary]; known && weight > most {
			best, most = primary, weight
		}
	}
	return best
}
