package campaigns

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// EnteringNow is the SQL of who enters a campaign, for tests of its plan.
func (s *Campaigns) EnteringNow(ctx context.Context, db pg.Querier, c Campaign, now time.Time) (string, []any, error) {
	sql, args, err := s.enteringNow(ctx, db, &c, now)
	return sql, args, err
}

func (s *Campaigns) DecidedSQL(ctx context.Context, tx pgx.Tx, c Campaign, at time.Time) (string, []any, error) {
	args := pg.Arguments{at}
	sql, err := s.decided(ctx, tx, &c, at, &args)
	return sql + ` SELECT count(*) FROM decided`, args, err
}
