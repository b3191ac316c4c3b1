module batch-aiml/pause

go 1.26
