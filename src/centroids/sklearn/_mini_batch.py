class MiniBatchKMeans: pass
