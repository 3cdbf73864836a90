package operators

import (
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// kept keeps what was read for some time, by name: however many pages ask, it is read once.
type kept[T any] struct {
	maxAge time.Duration
	reads  singleflight.Group
	mu     sync.Mutex
	values map[string]keptValue[T]
}

type keptValue[T any] struct {
	value T
	until time.Time
}

// get returns what was kept, or reads it anew, once for all concurrent requests.
func (k *kept[T]) get(name string, read func() (T, error)) (T, error) {
	k.mu.Lock()
	last, there := k.values[name]
	k.mu.Unlock()
	if there && time.Now().Before(last.until) {
		return last.value, nil
	}
	value, err, _ := k.reads.Do(name, func() (any, error) {
		value, err := read()
		if err != nil {
			return value, err
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.values == nil {
			k.values = map[string]keptValue[T]{}
		}
		k.values[name] = keptValue[T]{value, time.Now().Add(k.maxAge)}
		return value, nil
	})
	return value.(T), err
}

// Forget has all read anew.
func (k *kept[T]) Forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.values)
}
