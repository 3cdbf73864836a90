package migrations

import "time"

// Impatient lets transactions of clients that are gone end after so long.
func Impatient(after time.Duration) { gone = after }

// Talkative lets migrations say after so long who they wait for.
func Talkative(after time.Duration) { sayEvery = after }
