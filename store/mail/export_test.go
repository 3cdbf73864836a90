package mail

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Statements whose plans are tested.
const (
	DoneSQL = doneSQL

	SettleSQL = settleSQL
	LookUps   = lookUps
)

var (
	BackSQL   = keepBackSQL
	StartSQL  = startSQL
	HardSQL   = hardSQL
	ValuesSQL = valuesSQL
)

// ClaimSQL is the statement of a claim.
func (m *Mails) ClaimSQL(ctx context.Context, tx pgx.Tx, l Turn, at time.Time) (string, error) {
	args := pg.Arguments{at}
	decide, said, err := m.decide(ctx, tx, l.Store, &args)
	if err != nil {
		return "", err
	}
	return claimSQL(decide, nextSQL(said, l, 100, &args), said, l, &args), nil
}
