package roster

import "iter"

func seq(f func(put func(key, value []byte) error) error, errp *error) iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		*errp = f(func(k, v []byte) error {
			if !yield(k, v) {
				return errStop
			}
			return nil
		})
		if *errp != nil && *errp != errStop {
			yield(nil, nil)
		}
	}
}

var errStop = errMalformed
