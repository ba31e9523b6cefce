//! Sharing out a slice among threads: each chunk is computed whole by one of them, so results do not depend on how
//! many there are.

use inkling_compute::ComputeError;

/// More threads than this gain nothing here.
const MOST_THREADS: usize = 64;

/// Calls `work` with the index of each chunk of `chunk` elements of `out`, and the chunk.
pub(crate) fn for_each_chunk(
    out: &mut [f32],
    chunk: usize,
    threads: usize,
    work: impl Fn(usize, &mut [f32]) -> Result<(), ComputeError> + Sync,
) -> Result<(), ComputeError> {
    let chunks = out.len().div_ceil(chunk.max(1));
    let share = chunks.div_ceil(threads.clamp(1, MOST_THREADS)).max(1);
    if share >= chunks {
        return work_on(out, chunk, 0, &work);
    }
    std::thread::scope(|scope| {
        let started: Vec<_> = out
            .chunks_mut(share * chunk)
            .enumerate()
            .map(|(thread, part)| {
                let work = &work;
                scope.spawn(move || work_on(part, chunk, thread * share, work))
            })
            .collect();
        started.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}

fn work_on(
    part: &mut [f32],
    chunk: usize,
    first: usize,
    work: impl Fn(usize, &mut [f32]) -> Result<(), ComputeError>,
) -> Result<(), ComputeError> {
    part.chunks_mut(chunk.max(1)).enumerate().try_for_each(|(index, chunk)| work(first + index, chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_is_visited_once_whatever_the_threads() {
        for threads in [0, 1, 2, 3, 7, 1000] {
            for len in [0, 1, 5, 64, 67] {
                let mut out = vec![0.0; len];
                for_each_chunk(&mut out, 5, threads, |index, chunk| {
                    chunk.iter_mut().enumerate().for_each(|(i, value)| *value += (index * 5 + i + 1) as f32);
                    Ok(())
                })
                .unwrap();
                assert!(out.iter().enumerate().all(|(i, &value)| value == (i + 1) as f32), "{threads} {len}");
            }
        }
    }

    #[test]
    fn an_error_of_any_thread_comes_back() {
        let result = for_each_chunk(&mut [0.0; 8], 1, 3, |index, _| {
            if index == 6 { Err(ComputeError::BadBatch { why: "six" }) } else { Ok(()) }
        });
        assert!(matches!(result, Err(ComputeError::BadBatch { why: "six" })));
    }
}
