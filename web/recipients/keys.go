package recipients

import (
	"context"
	"sync/atomic"

	"rollcall/mail"
)

// keys are those that sign the links of mails. They are read again for a token of a key that is not
// among them: another process may have made it just now.
type keys struct {
	read  func(context.Context) (mail.Keys, error)
	known atomic.Pointer[mail.Keys]
}

// of are the keys to verify a token with.
func (k *keys) of(ctx context.Context, token string) (mail.Keys, error) {
	if known := k.known.Load(); known != nil && !known.Lacks(token) {
		return *known, nil
	}
	all, err := k.read(ctx)
	if err == nil {
		k.known.Store(&all)
	}
	return all, err
}
