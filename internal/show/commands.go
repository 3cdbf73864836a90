package show

import "strings"

// Quote quotes a text for a shell, if it needs quotes.
func Quote(s string) string {
	if strings.IndexFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:=@%", r)
	}) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// PSQL is a statement as a command.
func PSQL(statement string) string { return `psql "$DATABASE_URL" -c ` + Quote(statement) }

// IsReady is the command that checks whether Postgres answers; it needs no login.
const IsReady = `pg_isready -d "$DATABASE_URL"`

// Busy is the command that shows what Postgres is busy with.
var Busy = PSQL("SELECT pid, now() - query_start AS since, wait_event, left(query, 60) FROM pg_stat_activity " +
	"WHERE state <> 'idle' ORDER BY 2 DESC")

// RedisCLI speaks to the server of REDIS_URL. It takes a password without a user
// for that of a user without a name, so one is written in.
const RedisCLI = `redis-cli --no-auth-warning -u "$(echo "$REDIS_URL" | sed 's,://:,://default:,')"`
