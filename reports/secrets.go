package reports

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"outflow/columnar/bounded"
)

// This file masks the secrets in texts of logs.

// Secrets as logs write them: the values of a URL's query, fields and headers whose names
// say so, tokens that are known by their form, and the secret parts of webhooks.
var (
	urlQuery    = bounded.Expression(`([?&][A-Za-z0-9_.~%\[\]$-]{1,64}=)[^\s"'&<>]+`)
	urlPassword = bounded.Expression(`(://)[^/\s"'@]+:[^/\s"'@]+@`)
	secretField = bounded.Expression(`(?i)((?:authorization|cookie|password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|signature|credentials?)["']?\s*[:=]\s*)("(?:[^"\\]|\\.)*"|'[^']*'|[^\s,;&"'{}\[\]]+)`)
	authHeader  = bounded.Expression(`(?i)(authorization:\s*)(?:[a-z][a-z0-9-]*\s+)?[^\s"',;\\]+`)
	bearer      = bounded.Expression(`(?i)\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{6,}`)
	webToken    = bounded.Expression(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*)?`)
	webhook     = bounded.Expression(`(hooks\.slack\.com/(?:services|workflows)/[^\s"'/]+/|/api/webhooks/[0-9]+/|/bot[0-9]+:)[^\s"'?]+`)
)

// Secrets on command lines, by the tools that take them there. A value is a word, or what
// is quoted; in JSON the quotes have a backslash.
const secretWord = `(?:\\?"[^"\\]*\\?"|'[^']*'|(?:[^\s"'\\]|\\[^\s"'])+)`

const (
	webTool       = `(\b(?:curl|wget|smbclient|lftp|aria2c)(?:\.exe)?\\?["']?\s(?:[^|&;\r\n]*?\s)?`
	userAndSecret = `[\s=]*\\?["']?[^\s:%"'\\/]+[:%])([^\s"'\\]+)`
)

var (
	// 7z, rar, unrar: -pX, -hpX. "-p" alone asks. A word before the switch is the command (a, x, …).
	archiveSwitch = bounded.Expression(`(?i)(\b(?:7z[a-z]?|7-?zip|(?:win)?rar|unrar)(?:\.exe)?\\?["']?(?:\s[^|&;\r\n]*?)?\s(?:\\?["'])?-h?p)(` + secretWord + `)`)
	// zip -P X; sshpass -pX, -p X; plink, pscp, psftp, putty -pw X; mysql, mysqldump -pX.
	zipSwitch   = bounded.Expression(`(?i)(\bzip(?:\.exe)?\\?["']?\s(?:[^|&;\r\n]*?\s)?(?:-P|--password)[\s=]*)(` + secretWord + `)`)
	sshSwitch   = bounded.Expression(`(?i)(\bsshpass(?:\.exe)?\\?["']?\s+(?:-v\s+)?-p\s*)(` + secretWord + `)`)
	puttySwitch = bounded.Expression(`(?i)(\s-pw\s+)(` + secretWord + `)`)
	mysqlSwitch = bounded.Expression(`(\b(?:mysql|mysqldump|mysqlimport|mariadb|mariadb-dump)(?:\.exe)?\\?["']?\s(?:[^|&;\r\n]*?\s)?-p)(` + secretWord + `)`)
	// curl, wget, smbclient: -u user:pass, -uuser:pass, --user, --proxy-user, -U user%pass.
	curlUser  = bounded.Expression(webTool + `(?:-u|--user)` + userAndSecret)
	proxyUser = bounded.Expression(webTool + `(?:-U|--proxy-user)` + userAndSecret)
	// --password=X, --password X, --drive-client-secret X, --mega-pass X, -Password X, /p:X, /password:X; rclone obscure X.
	secretFlag = bounded.Expression(`(?i)(\s(?:--?|/)(?:[a-z0-9]+[-_])*(?:pass|password|passwd|passphrase|pwd|secret|token|api-?key|access-?key|account-?key|secret-?access-?key|sas-?token|key-?pass)(?:\s+|[=:]))(` + secretWord + `)`)
	obscured   = bounded.Expression(`(?i)(\brclone(?:\.exe)?\\?["']?\s+(?:[^|&;\r\n]*?\s)?obscure\s+)(` + secretWord + `)`)
	// net use X: \\host\share PASSWORD /user:NAME, or the password after the user.
	netUse      = bounded.Expression(`(?i)(\bnet1?(?:\.exe)?\\?["']?\s+use\s+(?:[a-z*]:?\s+)?\\{2,4}[^\s"']+\s+)([^\s/"'*][^\s"']*)`)
	netUseAfter = bounded.Expression(`(?i)(\bnet1?(?:\.exe)?\\?["']?\s+use\s[^|&;\r\n]*?/u(?:ser)?:[^\s"']+\s+)([^\s/"'*][^\s"']*)`)
	// A shared access signature apart from its URL, an AWS secret key beside its ID, and the key of an Azure connection string.
	sasField   = bounded.Expression(`(?i)(\bsig=)[A-Za-z0-9%+/=_-]{8,}`)
	awsSecret  = bounded.Expression(`(\b(?:AKIA|ASIA)[A-Z0-9]{16}[\s:,/"']+)([A-Za-z0-9/+=]{40})`)
	accountKey = bounded.Expression(`(?i)((?:AccountKey|SharedAccessKey)=)[^\s;"']+`)
)

// A secret is an expression for secrets in a text.
type secret struct {
	find   func() *regexp.Regexp
	masked string   // what takes the place of a match
	words  []string // every ASCII text with a match has one of them, in whatever case
}

// Secrets of commands are only looked for in texts with a blank.
var commandSecrets = [...]secret{
	{archiveSwitch, "${1}…", []string{"7z", "7-z", "rar"}},
	{zipSwitch, "${1}…", []string{"zip"}},
	{sshSwitch, "${1}…", []string{"sshpass"}},
	{puttySwitch, "${1}…", []string{"-pw"}},
	{mysqlSwitch, "${1}…", []string{"mysql", "mariadb"}},
	{curlUser, "${1}…", []string{"curl", "wget", "smbclient", "lftp", "aria2c"}},
	{proxyUser, "${1}…", []string{"curl", "wget", "smbclient", "lftp", "aria2c"}},
	{secretFlag, "${1}…", []string{"pass", "pwd", "secret", "token", "key"}},
	{obscured, "${1}…", []string{"obscure"}},
	{netUse, "${1}…", []string{"net"}},
	{netUseAfter, "${1}…", []string{"net"}},
}

var textSecrets = [...]secret{
	{sasField, "${1}…", []string{"sig="}},
	{awsSecret, "${1}…", []string{"akia", "asia"}},
	{accountKey, "${1}…", []string{"key="}},
	{urlPassword, "${1}…@", []string{"://"}},
	{webhook, "${1}…", []string{"hooks.slack.com/", "/api/webhooks/", "/bot"}},
	{authHeader, "${1}…", []string{"authorization"}},
	{bearer, "${1} …", []string{"bearer", "basic"}},
	{secretField, "${1}…", []string{"authorization", "cookie", "pass", "pwd", "secret", "token", "key", "signature", "credential"}},
	{webToken, "…", []string{"eyj"}},
	{urlQuery, "${1}…", []string{"?", "&"}},
}

// Masked returns text of a log without the secrets in it, each replaced by "…".
func Masked(text string) string { return masked(text, searched(text)) }

// searched returns a text as secret.words are looked for in it; "" if they need not be in
// it: letters beyond ASCII match some of ASCII.
func searched(text string) string {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return ""
		}
	}
	return strings.ToLower(text)
}

// masked is Masked for a text with its searched form. Most texts have none of the words,
// which are found much faster than an expression is tried.
func masked(text, searched string) string {
	mask := func(secrets []secret) {
		for _, s := range secrets {
			if searched == "" || s.in(searched) {
				text = s.find().ReplaceAllString(text, s.masked)
			}
		}
	}
	if strings.ContainsAny(text, " \t") { // a command with arguments
		mask(commandSecrets[:])
	}
	mask(textSecrets[:])
	return text
}

// in reports whether a text has one of the words.
func (s *secret) in(searched string) bool {
	for _, word := range s.words {
		if strings.Contains(searched, word) {
			return true
		}
	}
	return false
}
