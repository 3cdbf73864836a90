package mail

import (
	"context"
	netmail "net/mail"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/mail"
	"rollcall/store/pg"
)

// Settings are how a store sends. Its people set them, but for SoftOptIn, which operators do.
type Settings struct {
	FromName      string
	ReplyTo       string
	PostalAddress string
	HomeURL       string // where links lead that have no other end
	CourseURL     string // with {course} for the id of one
	QuietFrom     *int   // hour of the store's day; nil: no hours are quiet
	QuietTo       *int
	CapDay        *int // marketing mails to a customer; nil: any number
	CapWeek       *int
	DailyLimit    *int       // mails of the store on a day; nil: any number
	WarmUpFrom    *time.Time // first day of a slow start
	Tracking      string     // off, counted or identified
	SoftOptIn     bool
}

// Lane is what is known of the sending of a store.
type Lane struct {
	Store        string     `json:"store"`
	PausedFor    string     `json:"paused_for"` // hand, bounces or complaints; empty: it is not paused
	PausedAt     *time.Time `json:"paused_at"`
	FailingSince *time.Time `json:"failing_since"` // the provider does not take mails
	Trouble      string     `json:"trouble"`       // what it answered
	Running      bool       `json:"running"`       // a worker sends for it just now
}

const settingsSQL = `
	SELECT
		from_name,
		reply_to,
		postal_address,
		home_url,
		course_url,
		quiet_from,
		quiet_to,
		cap_day,
		cap_week,
		daily_limit,
		warm_up_from,
		tracking,
		soft_opt_in,
		coalesce(paused_for, ''),
		paused_at,
		failing_since,
		trouble,
		coalesce(lease_until > now(), false)
	FROM mail_settings
	WHERE store_id = $1`

// Settings returns how a store sends, and its lane. A store that has set nothing has the defaults.
func (m *Mails) Settings(ctx context.Context, storeID string) (_ Settings, _ Lane, err error) {
	defer pg.Wrap(&err, "mail.Settings(%q)", storeID)
	if !pg.Storable(storeID) {
		return Settings{}, Lane{}, pg.ErrNotFound
	}
	return settings(ctx, m.Pool, storeID)
}

// SettingsIn is Settings in a transaction.
func SettingsIn(ctx context.Context, db pg.Querier, storeID string) (s Settings, err error) {
	defer pg.Wrap(&err, "mail.SettingsIn(%q)", storeID)
	s, _, err = settings(ctx, db, storeID)
	return s, err
}

func settings(ctx context.Context, q pg.Querier, storeID string) (s Settings, l Lane, err error) {
	l.Store = storeID
	err = q.QueryRow(ctx, settingsSQL, storeID).Scan(&s.FromName, &s.ReplyTo, &s.PostalAddress, &s.HomeURL, &s.CourseURL,
		&s.QuietFrom, &s.QuietTo, &s.CapDay, &s.CapWeek, &s.DailyLimit, &s.WarmUpFrom, &s.Tracking, &s.SoftOptIn,
		&l.PausedFor, &l.PausedAt, &l.FailingSince, &l.Trouble, &l.Running)
	if err == pgx.ErrNoRows { //nolint:errorlint // Scan returns it as it is
		return Defaults(), l, nil
	}
	return s, l, err
}

// Defaults are the settings of a store that has set nothing.
func Defaults() Settings {
	from, to, day, week := 20, 9, 1, 3
	return Settings{QuietFrom: &from, QuietTo: &to, CapDay: &day, CapWeek: &week, Tracking: "off"}
}

// Save replaces the settings of a store but for SoftOptIn. Mails that wait are asked about anew: they are due as they
// were at first. What is not valid is a *pg.BadParam. may refuses them for another reason; it asks in the transaction.
func (m *Mails) Save(ctx context.Context, storeID string, s Settings, may func(pgx.Tx) error) (err error) {
	defer pg.Wrap(&err, "mail.Save(%q)", storeID)
	if !pg.Storable(storeID) {
		return pg.ErrNotFound
	}
	if err := s.check(); err != nil {
		return err
	}
	s.PostalAddress = strings.TrimSpace(s.PostalAddress)
	return m.InTx(ctx, func(tx pgx.Tx) error {
		if err := LockSettings(ctx, tx, storeID); err != nil {
			return err
		}
		if s.PostalAddress == "" {
			if err := mayBeUnnamed(ctx, tx, storeID); err != nil {
				return err
			}
		}
		if may != nil {
			if err := may(tx); err != nil {
				return err
			}
		}
		return s.save(ctx, tx, storeID)
	})
}

// LockSettings keeps the settings of a store as they are until a transaction ends, and its campaigns from being
// switched on by another one: who switches one on asks for them.
func LockSettings(ctx context.Context, tx pgx.Tx, storeID string) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('mail settings ' || $1, 0))`, storeID)
	return err
}

func (s *Settings) save(ctx context.Context, tx pgx.Tx, storeID string) error {
	_, err := tx.Exec(ctx, `
		WITH waiting AS (
			UPDATE mails m
			SET due_at = LEAST(m.due_at, m.not_after - k.not_after)
			FROM campaigns k
			WHERE m.store_id = $1
			  AND m.status = 'due'
			  AND m.reason IN ('cap', 'cap_all', 'quiet', 'postal')
			  AND k.id = m.campaign_id
			  AND k.state = 'on'
		)
		INSERT INTO mail_settings (store_id, from_name, reply_to, postal_address, home_url, course_url, quiet_from, quiet_to,
			cap_day, cap_week, daily_limit, warm_up_from, tracking)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		ON CONFLICT (store_id) DO UPDATE SET
			from_name = EXCLUDED.from_name,
			reply_to = EXCLUDED.reply_to,
			postal_address = EXCLUDED.postal_address,
			home_url = EXCLUDED.home_url,
			course_url = EXCLUDED.course_url,
			quiet_from = EXCLUDED.quiet_from,
			quiet_to = EXCLUDED.quiet_to,
			cap_day = EXCLUDED.cap_day,
			cap_week = EXCLUDED.cap_week,
			daily_limit = EXCLUDED.daily_limit,
			warm_up_from = EXCLUDED.warm_up_from,
			tracking = EXCLUDED.tracking`, storeID, s.FromName, s.ReplyTo, s.PostalAddress, s.HomeURL, s.CourseURL,
		s.QuietFrom, s.QuietTo, s.CapDay, s.CapWeek, s.DailyLimit, s.WarmUpFrom, s.Tracking)
	return err
}

// mayBeUnnamed refuses to take away the postal address of a store while marketing is on.
func mayBeUnnamed(ctx context.Context, tx pgx.Tx, storeID string) error {
	var on []string
	err := tx.QueryRow(ctx, `
		SELECT coalesce(array_agg('“' || name || '”' ORDER BY name), '{}')
		FROM campaigns
		WHERE store_id = $1
		  AND state = 'on'
		  AND class = 'marketing'
		  AND steps @> '[{"do": "mail"}]'`, storeID).Scan(&on)
	if err == nil && len(on) > 0 {
		err = pg.Refuse("postal_address", "is named in marketing mail, which is on: pause or end %s first",
			strings.Join(on, ", "))
	}
	return err
}

// AllowSoftOptIn says whether a purchase is enough for marketing by a store where there is no word of consent.
func (m *Mails) AllowSoftOptIn(ctx context.Context, storeID string, allow bool) (err error) {
	defer pg.Wrap(&err, "mail.AllowSoftOptIn(%q)", storeID)
	if !pg.Storable(storeID) {
		return pg.ErrNotFound
	}
	_, err = m.Pool.Exec(ctx, `
		INSERT INTO mail_settings (store_id, soft_opt_in)
		VALUES ($1, $2)
		ON CONFLICT (store_id) DO UPDATE SET soft_opt_in = EXCLUDED.soft_opt_in`, storeID, allow)
	return err
}

func (s *Settings) check() error {
	for _, t := range []struct {
		name, value string
		most        int
	}{{"from_name", s.FromName, 60}, {"reply_to", s.ReplyTo, 254}, {"postal_address", s.PostalAddress, 300},
		{"home_url", s.HomeURL, 500}, {"course_url", s.CourseURL, 500}} {
		if utf8.RuneCountInString(t.value) > t.most || !pg.Storable(t.value) {
			return pg.Refuse(t.name, "is longer than %d characters, or has some that cannot be kept", t.most)
		}
	}
	broken := func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) }
	if strings.ContainsFunc(s.FromName, broken) {
		return pg.Refuse("from_name", "has a line break or a control character: write it in one line")
	}
	if a, err := netmail.ParseAddress(s.ReplyTo); s.ReplyTo != "" && (err != nil || facts.Email(s.ReplyTo) == "" ||
		mail.CheckAddress(a.Address) != "") {
		return pg.Refuse("reply_to", "is not an email address")
	}
	if err := checkURL("home_url", s.HomeURL); err != nil {
		return err
	}
	if err := checkURL("course_url", strings.ReplaceAll(s.CourseURL, "{course}", "x")); err != nil {
		return err
	}
	if (s.QuietFrom == nil) != (s.QuietTo == nil) {
		return pg.Refuse("quiet_to", "and quiet_from belong together: give both, or none")
	}
	for name, hour := range map[string]*int{"quiet_from": s.QuietFrom, "quiet_to": s.QuietTo} {
		if hour != nil && (*hour < 0 || *hour > 23) {
			return pg.Refuse(name, "is an hour of the day: 0 to 23")
		}
	}
	for name, number := range map[string]*int{"cap_day": s.CapDay, "cap_week": s.CapWeek, "daily_limit": s.DailyLimit} {
		if number != nil && (*number < 1 || *number > 1_000_000_000) {
			return pg.Refuse(name, "must be 1 or more; leave it empty for no limit")
		}
	}
	return pg.OneOf("tracking", s.Tracking, "off", "counted", "identified")
}

func checkURL(name, value string) error {
	u, err := url.Parse(value)
	if value != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
		return pg.Refuse(name, "is not an address that begins with https://")
	}
	return nil
}

// Hours are the quiet hours.
func (s Settings) Hours() mail.Hours {
	if s.QuietFrom == nil {
		return mail.Hours{}
	}
	return mail.Hours{From: *s.QuietFrom, To: *s.QuietTo}
}

// Pause stops the sending of a store until Resume. reason is hand, bounces or complaints.
func (m *Mails) Pause(ctx context.Context, storeID, reason string) (err error) {
	defer pg.Wrap(&err, "mail.Pause(%q)", storeID)
	if !pg.Storable(storeID) {
		return pg.ErrNotFound
	}
	_, err = m.Pool.Exec(ctx, `
		INSERT INTO mail_settings (store_id, paused_for, paused_at)
		VALUES ($1, $2, now())
		ON CONFLICT (store_id) DO UPDATE SET paused_for = EXCLUDED.paused_for, paused_at = EXCLUDED.paused_at
			WHERE mail_settings.paused_for IS NULL`, storeID, reason)
	return err
}

// Resume lets a store send again. Bounces and complaints that paused it are not counted any more; those before a pause
// by hand still are.
func (m *Mails) Resume(ctx context.Context, storeID string) (err error) {
	defer pg.Wrap(&err, "mail.Resume(%q)", storeID)
	if !pg.Storable(storeID) {
		return pg.ErrNotFound
	}
	_, err = m.Pool.Exec(ctx, `
		UPDATE mail_settings
		SET
			paused_for = NULL,
			paused_at = NULL,
			counted_from = CASE WHEN paused_for <> 'hand' THEN now() ELSE counted_from END,
			turn_at = '-infinity'
		WHERE store_id = $1`, storeID)
	return err
}

// Missing is what a store lacks to send mail, in words: of the settings of the installation, and of its own. Without
// them mails stay due.
func (m *Mails) Missing(ctx context.Context, storeID string) (installation, own []string, err error) {
	defer pg.Wrap(&err, "mail.Missing(%q)", storeID)
	if !pg.Storable(storeID) {
		return nil, nil, pg.ErrNotFound
	}
	s, _, err := settings(ctx, m.Pool, storeID)
	if err != nil {
		return nil, nil, err
	}
	if s.PostalAddress == "" {
		own = append(own, "The postal address of the store is empty. Marketing has to name it.")
	}
	installation, err = m.MissingSettings(ctx)
	return installation, own, err
}

// MissingSettings is what the installation lacks to send mail, in words, as its workers report their settings.
func (m *Mails) MissingSettings(ctx context.Context) (missing []string, err error) {
	defer pg.Wrap(&err, "mail.MissingSettings")
	var keys []string
	err = m.Pool.QueryRow(ctx, `
		SELECT coalesce(array_agg(DISTINCT k), '{}')
		FROM worker_clocks, unnest(keys) k
		WHERE seen_at > clock_timestamp() - interval '10 minutes'`).Scan(&keys)
	return mail.MissingSettings(keys), err
}
