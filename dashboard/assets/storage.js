// stored and store keep a choice of the person. A browser may forbid it: then it is forgotten.
export function stored(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function store(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // The choice counts for this page.
  }
}
