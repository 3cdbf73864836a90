package status

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// SecretUse is what became of the deliveries that were checked by certain signing secrets.
type SecretUse struct {
	Source       string
	Verified     *time.Time // when a signature first matched; nil: none has
	LastVerified *time.Time
	Refused      int64 // well-formed signatures of about now that matched none
	FirstRefused *time.Time
	LastRefused  *time.Time
}

func secretUses(ctx context.Context, tx pgx.Tx) (_ []SecretUse, err error) {
	defer pg.Wrap(&err, "status.secretUses")
	rows := pg.Query(ctx, tx, `
		SELECT source, verified_at, last_verified_at, refused, first_refused_at, last_refused_at
		FROM webhook_secrets
		ORDER BY source, secrets`)
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (u SecretUse, err error) {
		u, err = pgx.RowToStructByPos[SecretUse](row)
		for _, at := range []**time.Time{&u.Verified, &u.LastVerified, &u.FirstRefused, &u.LastRefused} {
			*at = pg.UTC(*at)
		}
		return u, err
	})
}

// SecretNews is a number that changes when secrets first match, first match nothing, or match again
// after others that never did. Strangers cannot change it often.
func (s *Reader) SecretNews(ctx context.Context) (n int64, err error) {
	defer pg.Wrap(&err, "status.SecretNews")
	err = s.Pool.QueryRow(ctx, `
		SELECT
			count(verified_at) * 1000000
			+ count(first_refused_at) * 1000
			+ count(*) FILTER (WHERE last_verified_at > (
				SELECT max(wrong.last_refused_at)
				FROM webhook_secrets wrong
				WHERE wrong.source = s.source
				  AND wrong.verified_at IS NULL
			))
		FROM webhook_secrets s`).Scan(&n)
	return n, err
}
